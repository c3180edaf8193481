"""NIfTI files, read by nibabel: an image, or the axial slices of a volume.

A slice is turned as radiologists look at it: anterior above, the patient's right on the left. Pixels count as square.
Each slice is scaled by its least and its largest value.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ...utils.errors import UserError
from .reading import check_values, library, stretched

SUFFIXES = (".nii", ".nii.gz")
AXIAL = 2
"""The axis from feet to head, in nibabel's order of right, anterior, superior."""


def count(file: Path) -> int:
    """Number of axial slices. Raises ``UserError`` for more than three dimensions."""
    image = _open(file)
    axis = _axes(image, file)[AXIAL]
    return image.shape[axis] if axis < len(image.shape) else 1


def read(file: Path, index: int) -> Tensor:
    """An axial slice ``(1, H, W)``."""
    image = _open(file)
    axes = _axes(image, file)
    flips = library("nibabel", file).io_orientation(image.affine)[:, 1]
    if axes[AXIAL] < len(image.shape):
        along = axes[AXIAL]
        place = index if flips[along] > 0 else image.shape[along] - 1 - index
        where: list[Any] = [slice(None)] * 3 + [0] * (len(image.shape) - 3)
        where[along] = place
        pixels = np.asarray(image.dataobj[tuple(where)])
    else:
        pixels = np.asarray(image.dataobj)
    if axes[0] > axes[1]:
        pixels = pixels.T
    for axis in (0, 1):
        # Columns run from the patient's right to the left, rows from front to back: against both axes.
        if flips[axes[axis]] > 0:
            pixels = np.flip(pixels, axis)
    return stretched(check_values(pixels.T, file), file)


def _open(file: Path) -> Any:
    image = library("nibabel", file).load(file)
    if len(image.shape) < 2 or any(side != 1 for side in image.shape[3:]):
        raise UserError(f"{file.name} has {len(image.shape)} dimensions: give an image or a volume")
    return image


def _axes(image: Any, file: Path) -> list[int]:
    """The axes of the array that run to the right, to the front and to the head; an image has only two, 0 and 1."""
    found = [int(axis) for axis in library("nibabel", file).io_orientation(image.affine)[:, 0]]
    return [0, 1, 2] if len(image.shape) == 2 else [found.index(axis) for axis in range(3)]
