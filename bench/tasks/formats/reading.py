"""What all readers share: libraries imported when they are needed, errors in a line, and the scale of values."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...utils.errors import UserError

MAX_PIXELS = 64_000_000
"""A larger slice counts as a mistake."""


def library(module: str, file: Path) -> ModuleType:
    """Import the library that reads a file. Raises ``UserError`` if it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise UserError(
            f"{file.name} needs {package}, which is not installed: pip install {package}"
        ) from error


@contextmanager
def reading(file: Path) -> Generator[None]:
    """Turn whatever a library raises on a damaged file into one line, and drop its warnings."""
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except UserError:
        raise
    except ModuleNotFoundError:
        raise
    except Exception as error:  # libraries raise OSError, ValueError, KeyError, struct.error, zlib.error, …
        raise UserError(f"cannot read the image {file.name}: remove or replace it") from error


def check_values(values: NDArray[np.generic], file: Path) -> NDArray[np.float64]:
    """Real finite values as float64. Raises ``UserError`` for others, and for a slice that is empty or too large."""
    if np.iscomplexobj(values):
        raise UserError(f"{file.name} holds complex numbers, and images are real: store their magnitude")
    if not 0 < values.size <= MAX_PIXELS:
        raise UserError(
            f"{file.name} has slices of {values.size:,} pixels: from 1 to {MAX_PIXELS:,} are read"
        )
    real = values.astype(np.float64)
    if not np.isfinite(real).all():
        raise UserError(
            f"{file.name} has {np.count_nonzero(~np.isfinite(real))} values that are NaN or infinite: replace them, "
            "e.g. by numpy.nan_to_num"
        )
    return real


def stretched(values: NDArray[np.float64], file: Path) -> Tensor:
    """Values ``(H, W)`` as ``(1, H, W)``, the least at 0, the largest at 1. Raises ``UserError`` if they are equal."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        raise UserError(f"{file.name} shows nothing: all values are {low:g}")
    return windowed(values, low, high)


def windowed(values: NDArray[np.float64], low: float, high: float) -> Tensor:
    """Values ``(H, W)`` as ``(1, H, W)``, ``low`` at 0 and ``high`` at 1, and clipped to [0, 1]."""
    return torch.from_numpy(np.clip((values - low) / (high - low), 0.0, 1.0))[None]
