"""Real images: from the scikit-image wheel, a user's folder, or a data set that deepinv downloads."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..utils.errors import UserError, unknown
from .image_files import open_image, read_image
from .volume_files import is_volume

TRAIN = ("astronaut.png", "coffee.png", "coins.png", "gravel.png", "motorcycle_right.png", "rocket.jpg")
TEST = ("camera.png", "chelsea.png", "hubble_deep_field.jpg", "brick.png")
"""Photographs of the scikit-image wheel."""
MEDICAL_TRAIN = ("retina.jpg", "ihc.png", "cell.png")
MEDICAL_TEST = ("phantom.png", "microaneurysms.png")
"""Of the same wheel: a retina, stained tissue, a cell; the phantom of Shepp and Logan, and a part of a retina."""
MEDICAL = "medical"
"""Name of these images on a command line."""
COLOURLESS = ("camera.png", "coins.png", "gravel.png", "brick.png")
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
        source: the folder or data set, as the user wrote it.
        digest: digest of names and contents, which enters the key of a cell.
    """

    source: str
    train: tuple[Path, ...]
    test: tuple[Path, ...]
    digest: str


def find_images(source: str | None = None, *, colour: bool = False) -> Images:
    """Find the images of ``source``.

    Args:
        source: ``None`` for the photographs of the scikit-image wheel, ``medical`` for its medical images, a folder, or
            a name of ``DOWNLOADS``. A folder may hold images or volumes. Subfolders ``train`` and ``test`` split it;
            otherwise every fourth file in alphabetical order is for testing.
        colour: leave out the wheel's grey photographs.

    Raises:
        UserError: a missing folder, an unreadable image, fewer than two images, or no network.
    """
    if source is None:
        excluded = COLOURLESS if colour else ()
        return _packaged(
            "scikit-image", [n for n in TRAIN if n not in excluded], [n for n in TEST if n not in excluded]
        )
    if source == MEDICAL:
        return _packaged(MEDICAL, MEDICAL_TRAIN, MEDICAL_TEST)
    folder = Path(source)
    try:
        is_folder = folder.is_dir()
    except OSError as error:
        raise UserError(f"cannot read the image folder {source!r}: {error.strerror}") from error
    if is_folder:
        return _folder(source, folder)
    if source in DOWNLOADS:
        return _folder(source, _download(source))
    if folder.exists() or any(mark in source for mark in "/\\.~"):
        raise UserError(f"no folder {source!r}: give a folder of images, or one of {', '.join(DOWNLOADS)}")
    raise unknown("image folder or data set", source, [MEDICAL, *DOWNLOADS])


def _packaged(name: str, training: Sequence[str], testing: Sequence[str]) -> Images:
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise UserError("scikit-image is not installed: pip install scikit-image, or give --images DIR")
    data = Path(spec.origin).parent / "data"
    train, test = (tuple(data / file for file in files) for files in (training, testing))
    if missing := [file.name for file in (*train, *test) if not file.is_file()]:
        raise UserError(
            f"scikit-image is installed without its photographs ({', '.join(missing)}): give --images DIR, a folder of "
            "your own"
        )
    return Images(name, train, test, _digest((*train, *test)))


def _folder(source: str, folder: Path) -> Images:
    def list_files(where: Path) -> list[Path]:
        try:
            every = sorted(f for f in where.iterdir() if f.is_file())
        except OSError as error:
            raise UserError(f"cannot read the image folder {source!r}: {error.strerror}") from error
        files = [f for f in every if f.suffix.lower() in SUFFIXES or is_volume(f)]
        for file in files:
            if not is_volume(file):
                with open_image(file):
                    pass
        return files

    if (folder / "train").is_dir() and (folder / "test").is_dir():
        train, test = list_files(folder / "train"), list_files(folder / "test")
    else:
        files = list_files(folder)
        test = files[3::4] or files[-1:]
        train = [f for f in files if f not in test]
    if not train or not test:
        raise UserError(
            f"the image folder {source!r} holds {len(train) + len(test)} readable images, too few to train and "
            f"test: put two or more of {', '.join(sorted(SUFFIXES))} there"
        )
    return Images(source, tuple(train), tuple(test), _digest((*train, *test)))


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


def _digest(files: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UserError(f"cannot read the image {file.name}: {error.strerror}") from error
        # os.fsencode, since a name may not be UTF-8.
        digest.update(os.fsencode(file.name) + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


def crops(
    files: tuple[Path, ...], channels: int, size: int, count: int, seed: int, mirror: bool = False
) -> Tensor:
    """Cut crops at random places, one file after another: ``(count, channels, size, size)`` float64.

    ``size`` is the side in pixels. An image that is smaller is extended by its mirror image if ``mirror``; otherwise
    ``UserError`` is raised.
    """
    rng = torch.Generator().manual_seed(1000 + seed)
    pieces: list[Tensor] = []
    for i in range(count):
        file = files[i % len(files)]
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
        pieces.append(image[:, top : top + size, left : left + size])
    return torch.stack(pieces)
