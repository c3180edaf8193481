"""Readers of measured images: DICOM, NIfTI, NumPy and HDF5, one format a file, each through its own library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from . import arrays, dicom, hdf5, nifti
from .reading import library, reading

__all__ = ["SUFFIXES", "Format", "count_slices", "format_of", "library", "read_slice"]


@dataclass(frozen=True, slots=True)
class Format:
    """How a kind of file is read.

    Attributes:
        suffixes: ends of its names, in small letters.
        count: number of slices of a file; 1 for a single image.
        read: a slice ``(1 or 3, H, W)`` float64 in [0, 1], by its index.
    """

    suffixes: tuple[str, ...]
    count: Callable[[Path], int]
    read: Callable[[Path, int], Tensor]


DICOM = Format(dicom.SUFFIXES, dicom.count, dicom.read)
FORMATS = (
    DICOM,
    Format(nifti.SUFFIXES, nifti.count, nifti.read),
    Format(arrays.SUFFIXES, arrays.count, arrays.read),
    Format(hdf5.SUFFIXES, hdf5.count, hdf5.read),
)
SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)


def format_of(file: Path) -> Format | None:
    """The format of a file, by the end of its name; a file whose name has no end may be DICOM. ``None`` for others."""
    name = file.name.lower()
    for each in FORMATS:
        if name.endswith(each.suffixes):
            return each
    return DICOM if "." not in name and dicom.has_mark(file) else None


def count_slices(file: Path) -> int:
    """Number of slices of a file. Raises ``UserError`` if it cannot be read, or holds no image."""
    kind = format_of(file)
    assert kind is not None
    with reading(file):
        return kind.count(file)


def read_slice(file: Path, index: int, channels: int) -> Tensor:
    """Read a slice.

    Args:
        file: of one of the formats.
        index: of the slice, from 0.
        channels: 1 for grey, by luminance; 3 for colour, three equal channels for a grey slice.

    Returns:
        ``(channels, H, W)`` float64 in [0, 1].

    Raises:
        UserError: the file is damaged, holds no image, or one with complex, infinite or equal values.
    """
    kind = format_of(file)
    assert kind is not None
    with reading(file):
        image = kind.read(file, index)
    if image.shape[0] == channels:
        return image
    if channels == 1:
        luminance = torch.tensor((0.299, 0.587, 0.114), dtype=torch.float64).view(3, 1, 1)
        return (luminance * image).sum(0, keepdim=True)
    return image.expand(channels, -1, -1).contiguous()
