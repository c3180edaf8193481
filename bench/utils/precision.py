"""Full float32 precision on a GPU."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch

BACKENDS: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
"""Convolutions, which torch rounds to TF32 by default, and matrix products."""


@contextmanager
def disable_tf32() -> Generator[None]:
    """Compute float32 products in float32 and not in TF32; the settings before are restored. No effect on a CPU.

    TF32 keeps 10 bits of each factor. T would have a relative error of 1e-3 to 1e-4, so residuals of 1e-5 might never
    be reached, and rounding would dominate the errors of the gradients.
    """
    before = [backend.allow_tf32 for backend in BACKENDS]
    for backend in BACKENDS:
        backend.allow_tf32 = False
    try:
        yield
    finally:
        for backend, allowed in zip(BACKENDS, before, strict=True):
            backend.allow_tf32 = allowed
