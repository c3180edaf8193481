"""HDF5 files, read by h5py: the only data set of real numbers with two or three dimensions, as NumPy files are.

So fastMRI's files of several coils give ``reconstruction_rss``: their k-space is complex.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from .arrays import only_image, scaled, slices_in
from .reading import library

SUFFIXES = (".h5", ".hdf5")


def count(file: Path) -> int:
    """Number of slices."""
    with library("h5py", file).File(file, "r") as opened:
        return slices_in(_image(opened, file), file)


def read(file: Path, index: int) -> Tensor:
    """A slice ``(1, H, W)``."""
    with library("h5py", file).File(file, "r") as opened:
        return scaled(_image(opened, file), index, file)


def _image(opened: Any, file: Path) -> Any:
    data_sets: dict[str, Any] = {}

    def collect(name: str, entry: Any) -> None:
        if hasattr(entry, "dtype"):
            data_sets[name] = entry

    opened.visititems(collect)
    return data_sets[only_image(data_sets, file)]
