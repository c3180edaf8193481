"""Data sets of images: files of Debian or of the user, or the faces in scikit-image; nothing is downloaded."""

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
"""Environment variable that names the folder with CIFAR-10 and FFHQ."""


@dataclass(frozen=True, slots=True)
class Images:
    """Images of a data set.

    Attributes:
        label: name printed in tables.
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
        """The first images of both files, averaged down to ``size`` pixels a side.

        Raises:
            FileNotFoundError: if the package is not installed.
        """
        parts = [
            _pooled(_idx(Path(self.folder) / f"{part}-images-idx3-ubyte.gz", count), size)
            for part, count in (("train", train), ("t10k", test))
        ]
        return Images("FashionMNIST", *parts)


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces in the wheel of scikit-image (``lfw_subset``): 100 images of 25×25, if FashionMNIST is missing."""

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
            FileNotFoundError: if the folder has no CIFAR-10.
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
            FileNotFoundError: if there are too few files.
        """
        from PIL import Image

        root = _root(self.root) / "ffhq"
        files = sorted(root.rglob("*.png"))[: train + test]
        if len(files) < train + test:
            raise FileNotFoundError(f"{len(files)} PNG files below {root}, {train + test} are needed")
        pictures = [np.asarray(Image.open(file).convert("RGB")) for file in files]
        pooled = torch.cat(
            [_pooled(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None], size) for picture in pictures]
        )
        return Images("FFHQ", pooled[:train], pooled[train:])


@dataclass(frozen=True, slots=True)
class PackagedImages:
    """FashionMNIST if Debian's package is installed, otherwise the faces of scikit-image."""

    def load(self, size: int, train: int, test: int) -> Images:
        """The images of the first data set that is installed."""
        try:
            return FashionMNIST().load(size, train, test)
        except FileNotFoundError:
            return Faces().load(size, train, test)


@dataclass(frozen=True, slots=True)
class UserImages:
    """CIFAR-10, or else FFHQ, in the folder ``EQGRAD_DATA``; the images of ``fallback`` if that is not set."""

    fallback: FashionMNIST | PackagedImages

    def load(self, size: int, train: int, test: int) -> Images:
        """The images of the first data set that is found.

        Raises:
            FileNotFoundError: if the folder is set and has neither, or it is not set and ``fallback`` is missing.
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
    """The reason why data cannot be loaded, in one line; ``None`` if they can."""
    try:
        load()
    except FileNotFoundError as why:
        return " ".join(str(why).split())
    return None


def _idx(file: Path, count: int) -> Tensor:
    """The first images of an idx file (16 bytes of header, then one byte a pixel), uint8 ``(N, 1, rows, columns)``."""
    with gzip.open(file) as stream:
        _, available, rows, columns = np.frombuffer(stream.read(16), ">u4").tolist()
        count = min(count, available)
        pixels = np.frombuffer(stream.read(count * rows * columns), np.uint8)
    return torch.from_numpy(pixels.copy()).view(count, 1, rows, columns)


def _pooled(images: Tensor, size: int) -> Tensor:
    """Images in [0, 1], float64, averaged down to ``size`` pixels a side."""
    scaled = images.double() / 255 if images.dtype == torch.uint8 else images
    return scaled if scaled.shape[-1] == size else adaptive_avg_pool2d(scaled, size)


def _root(folder_option: str) -> Path:
    folder = folder_option or os.environ.get(ROOT, "")
    if not folder:
        raise FileNotFoundError(f"no folder with data: set {ROOT}")
    return Path(folder)
