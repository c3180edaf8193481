"""Where images come from: files of Debian or of a user, or the faces inside scikit-image. Nothing is fetched."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

ROOT = "EQGRAD_DATA"
"""The environment variable with the folder of CIFAR-10 and FFHQ."""


@dataclass(frozen=True, slots=True)
class Images:
    """What a data set gave.

    Attributes:
        label: its name, as tables print it.
        train, test: ``(N, C, H, W)``, values in [0, 1], float64, on the CPU.
    """

    label: str
    train: Tensor
    test: Tensor


@dataclass(frozen=True, slots=True)
class FashionMNIST:
    """Debian's package dataset-fashion-mnist: 60 000 and 10 000 images of 28×28."""

    folder: str = "/usr/share/datasets/fashion-mnist"

    def load(self, size: int, train: int, test: int) -> Images:
        """The first images of both files, averaged down to ``size``.

        Raises:
            FileNotFoundError: the package is not installed.
        """
        parts = [
            _pooled(_idx(Path(self.folder) / f"{part}-images-idx3-ubyte.gz", count), size)
            for part, count in (("train", train), ("t10k", test))
        ]
        return Images("FashionMNIST", *parts)


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces inside the wheel of scikit-image (``lfw_subset``): 100 images of 25×25. A stand-in."""

    def load(self, size: int, train: int, test: int) -> Images:
        """The first faces for training, the next for the test; each set is at most half of them."""
        from skimage.data import lfw_subset

        faces = torch.from_numpy(lfw_subset()[:100]).double()[:, None]
        train, test = min(train, 50), min(test, 50)
        return Images(
            "faces of scikit-image", _pooled(faces[:train], size), _pooled(faces[50 : 50 + test], size)
        )


@dataclass(frozen=True, slots=True)
class Cifar10:
    """CIFAR-10 in colour, 32×32, from ``cifar-10-batches-py`` in a user's folder."""

    root: str = ""

    def load(self, size: int, train: int, test: int) -> Images:
        """The first images of both sets, averaged down to ``size``.

        Raises:
            FileNotFoundError: they are not in that folder.
        """
        from torchvision.datasets import CIFAR10

        root = _root(self.root)
        try:
            sets = [CIFAR10(str(root), train=first, download=False) for first in (True, False)]
        except RuntimeError as load_error:
            raise FileNotFoundError(f"no cifar-10-batches-py in {root}") from load_error
        parts = [
            _pooled(torch.from_numpy(part.data[:count]).permute(0, 3, 1, 2), size)
            for part, count in zip(sets, (train, test), strict=True)
        ]
        return Images("CIFAR-10", *parts)


@dataclass(frozen=True, slots=True)
class Ffhq:
    """FFHQ in colour: the PNG files below ``ffhq`` in a user's folder, in the order of their names."""

    root: str = ""

    def load(self, size: int, train: int, test: int) -> Images:
        """The first images for training, the next for the test, averaged down to ``size``.

        Raises:
            FileNotFoundError: there are too few.
        """
        from PIL import Image

        root = _root(self.root) / "ffhq"
        files = sorted(root.rglob("*.png"))[: train + test]
        if len(files) < train + test:
            raise FileNotFoundError(f"{len(files)} PNG files below {root}, {train + test} are needed")
        shown = [np.asarray(Image.open(file).convert("RGB")) for file in files]
        pooled = torch.cat(
            [_pooled(torch.from_numpy(one.copy()).permute(2, 0, 1)[None], size) for one in shown]
        )
        return Images("FFHQ", pooled[:train], pooled[train:])


@dataclass(frozen=True, slots=True)
class PackagedImages:
    """FashionMNIST where Debian's package is installed, the faces of scikit-image otherwise."""

    def load(self, size: int, train: int, test: int) -> Images:
        """The images of whichever is there."""
        try:
            return FashionMNIST().load(size, train, test)
        except FileNotFoundError:
            return Faces().load(size, train, test)


@dataclass(frozen=True, slots=True)
class UserImages:
    """What lies in the folder ``EQGRAD_DATA``, CIFAR-10 or else FFHQ; other images where that is not set."""

    fallback: FashionMNIST | PackagedImages

    def load(self, size: int, train: int, test: int) -> Images:
        """The images of whichever is there.

        Raises:
            FileNotFoundError: the folder is set, and holds neither of them; or it is not, and the others are missing.
        """
        if not os.environ.get(ROOT):
            return self.fallback.load(size, train, test)
        reasons = []
        for source in (Cifar10(), Ffhq()):
            try:
                return source.load(size, train, test)
            except FileNotFoundError as why:
                reasons.append(str(why))
        raise FileNotFoundError(f"{ROOT}: {'; '.join(reasons)}")


Source = FashionMNIST | Faces | Cifar10 | Ffhq | PackagedImages | UserImages


def load_error(load: Callable[[], Images]) -> str | None:
    """Why data cannot be loaded, in a line, or ``None``."""
    try:
        load()
    except FileNotFoundError as why:
        return " ".join(str(why).split())
    return None


def _idx(file: Path, count: int) -> Tensor:
    """The first images of an idx file: 16 bytes of header, then a byte a pixel."""
    with gzip.open(file) as opened:
        _, held, rows, columns = np.frombuffer(opened.read(16), ">u4").tolist()
        count = min(count, held)
        pixels = np.frombuffer(opened.read(count * rows * columns), np.uint8)
    return torch.from_numpy(pixels.copy()).view(count, 1, rows, columns)


def _pooled(images: Tensor, size: int) -> Tensor:
    """In [0, 1], float64, each pixel the mean of those it covers."""
    scaled = images.double() / 255 if images.dtype == torch.uint8 else images
    return scaled if scaled.shape[-1] == size else adaptive_avg_pool2d(scaled, size)


def _root(given: str) -> Path:
    folder = given or os.environ.get(ROOT, "")
    if not folder:
        raise FileNotFoundError(f"no folder with data: set {ROOT}")
    return Path(folder)
