"""Files of volumes as tensors: NIfTI by nibabel, and arrays of NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..utils.errors import UserError
from .formats import library
from .packaged_images import PACKAGED
from .phantom import head_phantom

SUFFIXES = (".nii", ".nii.gz", ".npy")
MAX_VOXELS = 1_000_000_000
"""A larger volume counts as a mistake."""


def is_volume(file: Path) -> bool:
    """Whether the name is that of a file of volumes."""
    return file.name.lower().endswith(SUFFIXES)


def read_volume(file: Path) -> Tensor:
    """Read a volume of three axes; its values are mapped linearly, the least to 0 and the largest to 1.

    Args:
        file: NIfTI (``.nii``, ``.nii.gz``) or a NumPy array (``.npy``).

    Returns:
        ``(D, H, W)`` float32, in the order of the axes in the file.

    Raises:
        UserError: the file is none of these or cannot be read; nibabel is missing; the volume has not three axes of
            more than one voxel, too many voxels, or values that are not finite or all equal.
    """
    if not is_volume(file):
        raise UserError(
            f"{file.name} is no volume: give NIfTI (.nii, .nii.gz) or NumPy (.npy) files of three axes"
        )
    try:
        stored: Any = (
            np.load(file, mmap_mode="r", allow_pickle=False) if file.suffix == ".npy" else _nifti(file)
        )
        sides = tuple(int(side) for side in stored.shape if side != 1)
        if len(sides) != 3 or math.prod(sides) > MAX_VOXELS:
            raise UserError(
                f"{file.name} has the axes {tuple(stored.shape)}: a volume has three, and at most {MAX_VOXELS:,} voxels"
            )
        values = np.asarray(stored, dtype=np.float32).reshape(sides)
    except UserError:
        raise
    except Exception as error:  # readers raise OSError, ValueError, EOFError, HeaderDataError, zlib.error, …
        raise UserError(f"cannot read the volume {file.name}: remove or replace it") from error
    least, largest = float(values.min()), float(values.max())
    if not (math.isfinite(least) and math.isfinite(largest)) or least == largest:
        raise UserError(f"{file.name} holds values that are not finite, or all equal: remove or replace it")
    return torch.from_numpy((values - np.float32(least)) / np.float32(largest - least))


def _nifti(file: Path) -> Any:
    """The array of a NIfTI file, scaled as its header says."""
    return library("nibabel", file).load(file).dataobj


def volume_crops(
    source: str, files: Sequence[Path], side: int, count: int, seed: int, mirror: bool = False
) -> Tensor:
    """Cut cubes at random places, one file after another: ``(count, 1, side, side, side)`` float64 in [0, 1].

    Args:
        source: of the images. Packaged images hold no volumes: phantoms are drawn in their place, each whole.
        files: volumes.
        side: in voxels.
        count: number of cubes.
        seed: of the places, or of the phantoms.
        mirror: extend a smaller volume by its mirror image.

    Raises:
        UserError: see ``read_volume``; or a volume is smaller than the cube and ``mirror`` is false.
    """
    rng = torch.Generator().manual_seed(1000 + seed)
    if source in PACKAGED:
        return torch.stack([head_phantom((side,) * 3, rng)[None] for _ in range(count)])
    pieces: list[Tensor] = []
    for i in range(count):
        file = files[i % len(files)]
        volume = read_volume(file)
        if mirror:
            volume = mirrored(volume, [max(side, n) for n in volume.shape])
        if min(volume.shape) < side:
            raise UserError(
                f"{file.name} is {'×'.join(map(str, volume.shape))}, smaller than the cubes of {side}³: remove it, or "
                "use a profile with smaller crops, or with images.mirror"
            )
        for axis, length in enumerate(volume.shape):
            volume = volume.narrow(axis, int(torch.randint(length - side + 1, (), generator=rng)), side)
        pieces.append(volume[None].double())
    return torch.stack(pieces)


def mirrored(volume: Tensor, sides: Sequence[int]) -> Tensor:
    """A volume ``(D, H, W)`` extended at the ends of its axes by its mirror image, to ``sides``."""
    missing = [(0, side - length) for side, length in zip(sides, volume.shape, strict=True)]
    return torch.from_numpy(np.pad(volume.numpy(), missing, mode="symmetric"))
