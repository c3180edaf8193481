"""What a new process gives a cell for nothing, given back between the cells that share one."""

from __future__ import annotations

import functools
import gc
import sys

import torch

from ..config.user_files import forget_modules
from ..measurement.memory import forget_largest
from ..utils import provenance

KEPT = frozenset({provenance.__name__})
"""Modules whose caches tell of the machine and the code, which stay the same."""


def renew(device: torch.device) -> int | None:
    """Let go of whatever cells have left in this process, so that the next one finds what a new process has.

    Caches of functions, modules of users' files, compiled code and garbage go; on a GPU also the workspaces of cuBLAS,
    the plans of cuFFT, memory that the allocator holds unused, and its peak. What is kept by others is not seen.

    Returns:
        Bytes that are still allocated on a GPU; ``None`` on a CPU, where nobody counts them.
    """
    forget_modules()
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("bench", "solvers"):
            for value in list(vars(module).values()):
                # By where it is defined, for others import it.
                cached = isinstance(value, functools._lru_cache_wrapper)  # pyright: ignore[reportPrivateUsage]
                if cached and value.__module__ not in KEPT:
                    value.cache_clear()
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()
    gc.collect()
    gc.freeze()  # as in a new process: what is alive now is there to stay
    return _left_over(device) if device.type == "cuda" else None


def _left_over(device: torch.device) -> int:
    torch.cuda.synchronize(device)
    # It allocates them from torch's own memory, where they would count as somebody's.
    torch._C._cuda_clearCublasWorkspaces()  # pyright: ignore[reportAttributeAccessIssue]
    with torch.cuda.device(device):  # a device without a number has no plans of its own
        torch.backends.cuda.cufft_plan_cache.clear()
    torch.cuda.empty_cache()
    forget_largest(device)
    return torch.cuda.memory_allocated(device)
