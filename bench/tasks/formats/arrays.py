"""NumPy files: an image, or a stack of slices along the first axis.

Floats in [0, 1] stay, bytes are divided by 255, and other values are scaled by the least and the largest of a slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...utils.errors import UserError
from .reading import check_values, stretched

SUFFIXES = (".npy", ".npz")
COLOURS = (3, 4)


def count(file: Path) -> int:
    """Number of slices. Raises ``UserError`` for other than two or three dimensions."""
    return slices_in(_load(file), file)


def read(file: Path, index: int) -> Tensor:
    """A slice ``(1, H, W)``."""
    return scaled(_load(file), index, file)


def slices_in(array: Any, file: Path) -> int:
    """Number of slices of an array with a shape. Raises ``UserError`` if it is neither an image nor a stack."""
    shape = tuple(array.shape)
    if len(shape) == 3 and shape[-1] in COLOURS:
        raise UserError(f"{file.name} has shape {shape}, as a colour image: save it as PNG or TIFF")
    if len(shape) not in (2, 3) or array.dtype.kind not in "buifc":
        raise UserError(
            f"{file.name} has shape {shape} and dtype {array.dtype}: give numbers of shape (H, W) or (slices, H, W)"
        )
    return shape[0] if len(shape) == 3 else 1


def scaled(array: Any, index: int, file: Path) -> Tensor:
    """A slice of an array ``(H, W)`` or ``(slices, H, W)``, as ``(1, H, W)`` float64 in [0, 1]."""
    part: NDArray[np.generic] = np.asarray(
        array[index] if slices_in(array, file) > 1 or array.ndim == 3 else array[...]
    )
    values = check_values(part, file)
    if part.dtype == np.uint8:
        return torch.from_numpy(values / 255)[None]
    if part.dtype.kind == "f" and values.min() >= 0 and values.max() <= 1:
        return torch.from_numpy(values)[None]
    return stretched(values, file)


def only_image(arrays: Mapping[str, Any], file: Path) -> str:
    """The name of the only array of real numbers with two or three dimensions.

    Raises:
        UserError: there is none or several; the line lists what there is.
    """
    images = [name for name, a in arrays.items() if a.dtype.kind in "buif" and len(a.shape) in (2, 3)]
    if len(images) == 1:
        return images[0]
    listed = ", ".join(f"{name} {tuple(a.shape)} {a.dtype}" for name, a in arrays.items()) or "nothing"
    wrong = "several images" if images else "no image of real numbers with 2 or 3 dimensions"
    raise UserError(f"{file.name} holds {wrong}: {listed[:300]}; store the one to read in a file of its own")


def _load(file: Path) -> NDArray[np.generic]:
    # Pickled objects, which could run code, are refused.
    if file.suffix.lower() == ".npy":
        # Mapped, so that a slice is read and not the stack.
        return np.load(file, mmap_mode="r", allow_pickle=False)
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    return arrays[only_image(arrays, file)]
