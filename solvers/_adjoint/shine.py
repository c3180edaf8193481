"""SHINE: solve the adjoint equation by the inverse that the forward solver has learned."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .._core.argument_checks import at_least
from .._core.results import FixedPoint, SolveReport
from .adjoint_map import AdjointOperator


@dataclass(frozen=True, slots=True)
class SharedInverse:
    """``u ≈ (I − Jᵀ)⁻¹v`` by the quasi-Newton inverse of the forward solver, then ``refine`` steps ``u ← v + Jᵀu``.

    The inverse is accurate in the few directions that the forward solver has visited last, and the identity (JFB) in
    all others. It costs no product, each refinement one. No residual is measured.

    Needs a forward solver that returns its inverse, such as ``Anderson(shared=True)``.

    Raises:
        ValueError: ``refine`` is negative; in a call, the forward solver has returned no inverse.

    Source: Ramzi et al., *SHINE: sharing the inverse estimate from the forward pass* (arXiv 2106.00553).
    """

    refine: int = 0

    def __post_init__(self) -> None:
        at_least("refine", self.refine, 0)

    def __call__(self, T: AdjointOperator, u0: Tensor, /) -> FixedPoint:
        if T.inverse is None:
            raise ValueError(
                "the forward solver returned no inverse to share: use shared=True, e.g. anderson(0.001, shared=True)"
            )
        u = T.inverse(T.v)  # not u0: an earlier adjoint is no cotangent
        for _ in range(self.refine):
            u = T(u)
        return FixedPoint(u, SolveReport(self.refine))
