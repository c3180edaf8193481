"""Functions that ``torch.func`` builds on their first call, under hooks on saved tensors."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from torch import Tensor


def apply_built(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``function(x)``, also where it builds a part of itself by ``torch.func`` under hooks on saved tensors.

    deepinv builds the adjoint of a projection, for a size of batch, by ``torch.func``, and keeps it. ``torch.func``
    refuses such hooks, which count the bytes of a tape. Hooks belong to a thread, so another thread can build it.
    """
    try:
        return function(x)
    except RuntimeError as error:
        if "saved tensor hooks" not in str(error):
            raise
    with ThreadPoolExecutor(1) as builder:
        builder.submit(function, x.detach()).result()
    return function(x)
