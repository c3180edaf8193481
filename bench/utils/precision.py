"""What float32 is on a GPU."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch

BACKENDS: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
"""Convolutions, which torch lets round to TF32 unless it is told otherwise, and products of matrices."""


@contextmanager
def whole_float32() -> Generator[None]:
    """Products of float32 are products of float32 in here; what was set before is set again.

    TF32 keeps 10 bits of each factor: T would be off by 1e-3 to 1e-4, relative, so that residuals of 1e-5 may never
    come, and errors of gradients have a floor that is no estimator's. Nothing changes on a CPU.
    """
    before = [backend.allow_tf32 for backend in BACKENDS]
    for backend in BACKENDS:
        backend.allow_tf32 = False
    try:
        yield
    finally:
        for backend, allowed in zip(BACKENDS, before, strict=True):
            backend.allow_tf32 = allowed
