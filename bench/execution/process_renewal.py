"""Bring a process that measured a cell back to the state of a new process, before it measures the next."""

from __future__ import annotations

import functools
import gc
import sys

import torch

from ..config.user_files import forget_modules
from ..measurement.memory import forget_largest
from ..utils import provenance

KEPT = frozenset({provenance.__name__})
"""Modules whose caches are kept: they hold facts about the machine and the code."""


def renew(device: torch.device) -> int | None:
    """Drop what cells may have left: caches of functions, modules of users' files, compiled code, garbage.

    On a GPU also workspaces of cuBLAS, plans of cuFFT, unused memory of the allocator, and its peak. State that other
    libraries keep is not found.

    Returns:
        Bytes still allocated on a GPU; ``None`` on a CPU, where they cannot be counted.
    """
    forget_modules()
    for name, module in list(sys.modules.items()):
        if name.startswith(("bench.", "solvers.")):
            for value in list(vars(module).values()):
                # The defining module decides, since modules import each other's functions.
                cached = isinstance(value, functools._lru_cache_wrapper)  # pyright: ignore[reportPrivateUsage]
                if cached and value.__module__ not in KEPT:
                    value.cache_clear()
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()
    gc.collect()
    gc.freeze()  # as in a new process: imported modules are no garbage
    return _allocated(device) if device.type == "cuda" else None


def _allocated(device: torch.device) -> int:
    """Release the caches of CUDA's libraries, and count what is still allocated."""
    torch.cuda.synchronize(device)
    # These workspaces are in torch's memory, and would be counted as left over.
    torch._C._cuda_clearCublasWorkspaces()  # pyright: ignore[reportAttributeAccessIssue]
    with torch.cuda.device(device):  # plans of cuFFT are those of the current device
        torch.backends.cuda.cufft_plan_cache.clear()
    torch.cuda.empty_cache()
    forget_largest(device)
    return torch.cuda.memory_allocated(device)
