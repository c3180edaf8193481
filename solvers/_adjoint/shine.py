"""The adjoint equation by the inverse that the forward solve has learned already."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .._core.argument_checks import at_least
from .._core.results import FixedPoint, SolveReport
from .adjoint_map import AdjointOperator


@dataclass(frozen=True, slots=True)
class SharedInverse:
    """``u ≈ (I − Jᵀ)⁻¹v`` by the quasi-Newton inverse of the reach, then ``refine`` terms of the series from there.

    The inverse costs no product at all; it is right in the few directions that the reach has seen last, and the
    identity (JFB) in the others. Each refinement is one vector-Jacobian product. Nothing is measured.

    Needs a reach that leaves its inverse behind, such as ``Anderson(shared=True)``.

    Raises:
        ValueError: ``refine`` is negative; when it runs, the reach has left no inverse.

    Source: Ramzi et al., *SHINE: sharing the inverse estimate from the forward pass* (arXiv 2106.00553).
    """

    refine: int = 0

    def __post_init__(self) -> None:
        at_least("refine", self.refine, 0)

    def __call__(self, T: AdjointOperator, u0: Tensor, /) -> FixedPoint:
        if T.inverse is None:
            raise ValueError(
                "the forward solve left no inverse to share: give it shared=True, e.g. anderson(0.001, shared=True)"
            )
        u = T.inverse(u0)
        for _ in range(self.refine):
            u = T(u)
        return FixedPoint(u, SolveReport(self.refine))
