"""C2. Composing T with itself does not change the implicit gradient.

For ``Φ_K = T^K``: ``∂_xΦ_K(x*) = J^K``, ``∂_θΦ_K(x*) = Σ_{k<K} J^k B``, and the implicit gradient of ``Φ_K`` is
that of T for every K. An equality: since L < 1, no K-th root of unity is an eigenvalue of J.

Source: arXiv 2506.13239; PROOFS S1(a).
"""

from __future__ import annotations

import dataclasses

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import deq

from ..engine import Claim, Sides
from ..instances import (
    Case,
    ParametricMap,
    jacobians,
    power_sum,
    solve_exactly,
    solver_gradient,
    synthetic,
    two_norm,
)
from ..instances.batches import batches


class Power(ParametricMap):
    """The map ``T^K``, with the parameter of T."""

    def __init__(self, T: ParametricMap, K: int) -> None:
        super().__init__()
        self.T, self.K = T, K
        self.theta = T.theta

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map once, that is, T K times; x has shape ``(n,)``."""
        for _ in range(self.K):
            x = self.T(x)
        return x


def composed(case: Case, K: int) -> Case:
    """The case with ``T^K`` in place of T, and its L. The other constants are not needed here."""
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
