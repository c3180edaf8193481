"""Real images: of a package, a user's folder or file, or a data set that deepinv downloads."""

from __future__ import annotations

import hashlib
import importlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..utils.errors import UserError, unknown
from .formats import SUFFIXES as SLICE_SUFFIXES
from .formats import format_of
from .image_files import open_image, read_image
from .packaged_images import PACKAGED, PHOTOGRAPHS, packaged_files
from .slices import Slice, part, slices_of, whole

DOWNLOADS = {
    "bsds500": "BSDS500",
    "cbsd68": "CBSD68",
    "kodak24": "Kodak24",
    "set5": "Set5HR",
    "set14": "Set14HR",
    "urban100": "Urban100HR",
}
"""Classes of ``deepinv.datasets`` by the names on a command line."""
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""Of photographs."""
ImageFile = Path | Slice
"""A photograph, of which a crop cuts a part, or a slice, which a crop shows whole."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Size and numbers of crops.

    Attributes:
        crop: side in pixels; the other numbers count crops.
        mirror: extend an image that is smaller than a crop by its mirror image: for costs, not for quality.
    """

    crop: int
    train: int
    test: int
    mirror: bool = False
    validation: int = 0


@dataclass(frozen=True, slots=True)
class Images:
    """Image files, split into train and test by name.

    Attributes:
        source: the folder, file or data set, as the user wrote it.
        digest: digest of names and contents, which enters the key of a cell.
    """

    source: str
    train: tuple[ImageFile, ...]
    test: tuple[ImageFile, ...]
    digest: str

    @property
    def has_volumes(self) -> bool:
        """Whether some file gives several slices."""
        files = [path_of(image) for image in (*self.train, *self.test)]
        return len(set(files)) < len(files)

    def in_words(self) -> str:
        """What is trained and tested on, with the slices of each volume: ``head.nii.gz (slices 23, 26, 29)``."""
        return f"training images: {_listed(self.train)}; test images: {_listed(self.test)}"


def find_images(source: str | None = None, *, colour: bool = False) -> Images:
    """Find the images of ``source``.

    Args:
        source: ``None`` for the photographs of the scikit-image wheel; another name of ``PACKAGED`` for medical images
            of packages; a folder of images or volumes; a file of several slices; or a name of ``DOWNLOADS``. Subfolders
            ``train`` and ``test`` split a folder; otherwise every fourth file in alphabetical order is for testing. Of
            a single file, the last quarter of its slices is.
        colour: leave out the wheel's grey photographs.

    Raises:
        UserError: a missing folder, an unreadable image, fewer than two images, a missing package, or no network.
    """
    if source is None or source in PACKAGED:
        name = PHOTOGRAPHS if source is None else source
        train, test = packaged_files(name, colour=colour)
        return Images(name, train, test, _digest((*train, *test)))
    folder = Path(source)
    try:
        is_folder, is_file = folder.is_dir(), folder.is_file()
    except OSError as error:
        raise UserError(f"cannot read the image folder {source!r}: {error.strerror}") from error
    if is_folder:
        return _folder(source, folder)
    if is_file and format_of(folder) is not None:
        return _file(source, folder)
    if source in DOWNLOADS:
        return _folder(source, _download(source))
    if folder.exists() or any(mark in source for mark in "/\\.~"):
        raise UserError(
            f"no folder {source!r}: give a folder of images, a file of several slices, or one of {', '.join(DOWNLOADS)}"
        )
    raise unknown("image folder or data set", source, [*PACKAGED, *DOWNLOADS])


def _folder(source: str, folder: Path) -> Images:
    def list_files(where: Path) -> list[Path]:
        try:
            files = sorted(f for f in where.iterdir() if _is_image(f))
        except OSError as error:
            raise UserError(f"cannot read the image folder {source!r}: {error.strerror}") from error
        return files

    if (folder / "train").is_dir() and (folder / "test").is_dir():
        train, test = list_files(folder / "train"), list_files(folder / "test")
    else:
        files = list_files(folder)
        test = files[3::4] or files[-1:]
        train = [f for f in files if f not in test]
    training, testing = _images_of(train), _images_of(test)
    if not training or not testing:
        raise UserError(
            f"the image folder {source!r} holds {len(training) + len(testing)} readable images, too few to train and "
            f"test: put two or more of {', '.join(sorted({*SUFFIXES, *SLICE_SUFFIXES}))} there"
        )
    return Images(source, training, testing, _digest((*training, *testing)))


def _file(source: str, file: Path) -> Images:
    """The slices of a file: neighbours are alike, so those to test on are apart from those to train on."""
    slices = slices_of(file)
    if len(slices) < 2:
        raise UserError(
            f"{file.name} holds one image, too few to train and test: give a folder of two or more, or a volume"
        )
    first = max(1, 3 * len(slices) // 4)
    return Images(source, slices[:first], slices[first:], _digest(slices))


def _is_image(file: Path) -> bool:
    return file.is_file() and (file.suffix.lower() in SUFFIXES or format_of(file) is not None)


def _images_of(files: list[Path]) -> tuple[ImageFile, ...]:
    """The images of files. Raises ``UserError`` for a damaged one."""
    images: list[ImageFile] = []
    for file in files:
        if format_of(file) is not None:
            images += slices_of(file)
            continue
        with open_image(file):
            images.append(file)
    return tuple(images)


def _listed(images: tuple[ImageFile, ...]) -> str:
    indices: dict[Path, list[str]] = {}
    for image in images:
        indices.setdefault(path_of(image), []).append(str(image.index) if isinstance(image, Slice) else "0")
    words: list[str] = []
    for file, found in indices.items():
        several = f" (slice{'s' * (len(found) > 1)} {', '.join(found)})" if found != ["0"] else ""
        words.append(file.name + several)
    return ", ".join(words)


def _download(name: str) -> Path:
    from torch.hub import get_dir  # the cache that torch's own downloads use

    root = Path(get_dir()).parent / "eqgrad" / name
    kind = getattr(importlib.import_module("deepinv.datasets"), DOWNLOADS[name])
    try:
        root.mkdir(parents=True, exist_ok=True)
        kind(root=str(root), download=True)
    except Exception as error:
        raise UserError(
            f"cannot download {name} ({type(error).__name__}): is there a network? give --images DIR instead"
        ) from error
    folders = [f.parent for f in sorted(root.rglob("*")) if f.suffix.lower() in SUFFIXES]
    if not folders:
        raise UserError(f"the download of {name} holds no images: remove {root} and try again")
    return max(set(folders), key=folders.count)


def path_of(image: ImageFile) -> Path:
    """The file of an image."""
    return image.file if isinstance(image, Slice) else image


def volumes_of(images: Images, files: tuple[ImageFile, ...]) -> tuple[Path, ...]:
    """The files of some of the images, each once, for tasks that take whole volumes.

    Raises ``UserError`` if a file is both trained and tested on, as a single file of slices is.
    """
    if shared := {path_of(image) for image in images.train} & {path_of(image) for image in images.test}:
        raise UserError(
            f"{min(shared).name} is one volume, too few to train and test on volumes: give a folder of two or more"
        )
    return tuple(dict.fromkeys(path_of(image) for image in files))


def _digest(images: tuple[ImageFile, ...]) -> str:
    digest = hashlib.sha256()
    for image in images:
        file = path_of(image)
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read the image {file.name}: {error.strerror}") from error
        # os.fsencode, since a name may not be UTF-8.
        digest.update(os.fsencode(file.name) + b"\0" + hashlib.sha256(content).digest())
        if isinstance(image, Slice):
            digest.update(b"slice %d" % image.index)
    return digest.hexdigest()[:16]


def crops(
    files: tuple[ImageFile, ...], channels: int, size: int, count: int, seed: int, mirror: bool = False
) -> Tensor:
    """Cut crops at random places, one file after another: ``(count, channels, size, size)`` float64.

    ``size`` is the side in pixels. A photograph that is smaller is extended by its mirror image if ``mirror``;
    otherwise ``UserError`` is raised. The first crop of a slice shows all its content, and further ones a random part
    of it, both resampled.
    """
    rng = torch.Generator().manual_seed(1000 + seed)
    pieces: list[Tensor] = []
    for i in range(count):
        file = files[i % len(files)]
        if isinstance(file, Slice):
            image = file.read(channels)
            pieces.append(whole(image, size) if i < len(files) else part(image, size, rng))
        else:
            pieces.append(_cut(file, channels, size, rng, mirror))
    return torch.stack(pieces)


def _cut(file: Path, channels: int, size: int, rng: torch.Generator, mirror: bool) -> Tensor:
    image = read_image(file, channels)
    if mirror:
        missing = [(0, max(0, size - side)) for side in image.shape[1:]]
        image = torch.from_numpy(np.pad(image.numpy(), [(0, 0), *missing], mode="symmetric"))
    height, width = image.shape[1:]
    if min(height, width) < size:
        raise UserError(
            f"{file.name} is {width}×{height}, smaller than the crops of {size}×{size}: "
            "remove it, or use a profile with smaller crops, or with images.mirror"
        )
    top = int(torch.randint(height - size + 1, (), generator=rng))
    left = int(torch.randint(width - size + 1, (), generator=rng))
    return image[:, top : top + size, left : left + size]
