"""The adjoint equation by the inverse that the forward solve has learned already."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ._adjoint import Affine
from ._core import Equilibrium, Report, at_least


@dataclass(frozen=True, slots=True)
class Shared:
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

    def __call__(self, T: Affine, u0: Tensor, /) -> Equilibrium:
        if T.inverse is None:
            raise ValueError(
                "the forward solve left no inverse to share: give it shared=True, e.g. anderson(0.001, shared=True)"
            )
        u = T.inverse(u0)
        for _ in range(self.refine):
            u = T(u)
        return Equilibrium(u, Report(self.refine))
