"""C2. Composing changes nothing.

For ``Φ_K = T^K``: ``∂_xΦ_K(x*) = J^K``, ``∂_θΦ_K(x*) = Σ_{k<K} J^k B``, and the implicit gradient of ``Φ_K``
is that of T for every K. Equality (the K-th roots of unity are no eigenvalues of J, since L < 1). Source:
arXiv 2506.13239; PROOFS S1(a).
"""

from __future__ import annotations

import dataclasses

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import deq

from ..engine.claim import Claim
from ..engine.inequality import Sides
from ..instances import synthetic
from ..instances.batches import batches
from ..instances.exact import jacobians, power_sum, solve_exactly, solver_gradient, two_norm
from ..instances.synthetic import Case, ParametricMap


class Power(ParametricMap):
    """``T^K`` with the parameter of T."""

    def __init__(self, T: ParametricMap, K: int) -> None:
        super().__init__()
        self.T, self.K = T, K
        self.theta = T.theta

    def forward(self, x: Tensor) -> Tensor:
        """One application: K of T."""
        for _ in range(self.K):
            x = self.T(x)
        return x


def composed(case: Case, K: int) -> Case:
    """The case with ``T^K`` for T and its Lipschitz constant; the others do not matter here."""
    return dataclasses.replace(case, name=f"{case.name}^{K}", T=Power(case.T, K), L=case.L**K)


def _sides(case: Case, K: int, terms: int) -> Sides:
    e, power = solve_exactly(case), composed(case, K)
    J, B = jacobians(power, e.x)
    gap = torch.cat(
        [
            (J - torch.linalg.matrix_power(e.J, K)).flatten(),
            (B - power_sum(e.J, terms) @ e.B).flatten(),
            solver_gradient(deq(1e-13, 500), power) - e.gradient,
        ]
    )
    return Sides(two_norm(gap), 0.0, two_norm(e.gradient) + two_norm(e.B) + two_norm(e.v))


CLAIM = Claim(
    id="C2",
    statement="∂_xΦ_K = J^K, ∂_θΦ_K = Σ_{k<K} J^k B, and g_DEQ(Φ_K) = g_DEQ(T) for every K",
    source="arXiv 2506.13239; PROOFS S1(a)",
    assumptions="L < 1",
    examples=st.tuples(
        st.one_of(synthetic.affines, synthetic.tanhs, synthetic.networks, batches), synthetic.depths
    ),
    sides=lambda case, K: _sides(case, K, K),
    negative_control=lambda case, K: _sides(case, K, K + 1),
    false_statement="the sum has K+1 terms",
    rounding=1e-9,
)
