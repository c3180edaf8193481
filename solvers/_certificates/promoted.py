"""A map that computes in float64 with the numbers of a narrower one.

In float32 a residual of T is known to a unit of rounding of x, and ``1/(1−L)`` makes a distance of it, and another a
bound on the gradient. In float64 both are as small as they are asked to be; what is left is what the gradient itself
rounds off when it is returned in float32. That a residual is to be computed in a wider format than the solution is the
rule of iterative refinement (Wilkinson, *Rounding Errors in Algebraic Processes*, 1963).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.maps import Loss
from .derivative_bounds import DerivativeBounds, stated_float64


@dataclass(frozen=True, slots=True)
class PromotedMap:
    """``T`` on float64 states; its leaves are those of T itself, in their own dtype.

    Attributes:
        apply: ``x -> T(x)``.
        bounds: derivative bounds of T, which hold in every dtype.
    """

    apply: Callable[[Tensor], Tensor]
    bounds: DerivativeBounds

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        return self.apply(x)

    def regularity(self) -> DerivativeBounds:
        """See ``HasDerivativeBounds``."""
        return self.bounds


def promoted(bounds: DerivativeBounds | None, loss: Loss | None, x: Tensor) -> PromotedMap | None:
    """Return T in float64, if states like ``x`` have a narrower dtype and both T and its loss take float64 ones."""
    if bounds is None or loss is None or not bounds.L < 1:
        return None
    if not x.dtype.is_floating_point or torch.finfo(x.dtype).eps <= torch.finfo(torch.float64).eps:
        return None
    apply = stated_float64(bounds)
    if apply is None:
        return None
    try:
        with torch.no_grad():
            loss(x.detach().double())
    except RuntimeError:  # torch's error for operands of two dtypes
        return None
    return PromotedMap(apply, bounds)
