"""C25. A bound on the error of a point that needs no global Lipschitz constant.

At y with ``r = ‖T(y) − y‖``, ``σ = ‖J(y)‖ < 1``, J Lipschitz with M_J, and ``Δ = (1−σ)² − 2 M_J r > 0``, T has
one fixed point x* in the ball around y of radius

ϱ = 2r / ((1−σ) + √Δ), so ‖y − x*‖ ≤ ϱ, and ‖J(x*)‖ ≤ σ + M_J ϱ = 1 − √Δ < 1.

Proof: on the ball ``‖T(x) − y‖ ≤ r + σϱ + M_J ϱ²/2 = ϱ`` by Taylor's theorem, so T maps the ball into itself,
and contracts on it by ``σ + M_J ϱ < 1``. With ``M_J ϱ²`` in place of ``M_J ϱ²/2`` this is the bound of PROOFS
S4(d), which has 4 in place of 2 and is implied. Both inequalities are attained by ``θx + M_J x²/2`` if
``0 ≤ J(y)`` and ``y < x*``; the first one also by ``J = L·I``.

Source: Kantorovich's theorem, applied to T in place of Newton's map; PROOFS S4(d), with a smaller constant.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import strategies as st
from torch import Tensor

from ..engine import Claim, Sides, conjunction, disjunction
from ..instances import (
    F64,
    Case,
    LinearLoss,
    ParametricMap,
    iterate,
    jacobians,
    solve_exactly,
    synthetic,
    two_norm,
)


class ParabolicMap(ParametricMap):
    """``θx + M x²/2``. Its fixed points are 0 and ``2(1−θ)/M``, with the derivatives θ and ``2 − θ``."""

    def __init__(self, theta: float, M: float) -> None:
        super().__init__()
        self.M = M
        self.theta = torch.nn.Parameter(torch.tensor([theta], dtype=F64))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map once; x has shape ``(1,)``."""
        return self.theta * x + self.M / 2 * x.square()


def curved(theta: float, M: float, x0: float) -> Case:
    """A scalar map without a global Lipschitz constant, with a linear loss."""
    one = torch.ones(1, dtype=F64)
    loss = LinearLoss(one, 0.0, torch.zeros(1, 1, dtype=F64))
    name = f"curved(theta={theta!r}, M={M!r}, x0={x0!r})"
    return Case(name, ParabolicMap(theta, M), x0 * one, loss, float("inf"), M, 1.0)


def residual_and_slope(case: Case) -> tuple[float, float]:
    """The residual r and the slope σ at the start of a case."""
    with torch.no_grad():
        r = two_norm(case.T(case.x0) - case.x0)
    return r, two_norm(jacobians(case, case.x0)[0])


def discriminant(r: float, sigma: float, M_J: float, constant: float = 2) -> float:
    """The discriminant ``Δ = (1−σ)² − constant · M_J r``."""
    return (1 - sigma) ** 2 - constant * M_J * r


def radius(r: float, sigma: float, M_J: float, constant: float = 2) -> float:
    """The radius ϱ of the ball; requires ``Δ ≥ 0``."""
    return 2 * r / (1 - sigma + discriminant(r, sigma, M_J, constant) ** 0.5)


def why_no_certificate(case: Case, steps: int = 0) -> str | None:
    """Why there is no bound at the state after ``steps`` applications, or ``None``."""
    r, sigma = residual_and_slope(replace(case, x0=iterate(case, steps)))
    if not sigma < 1:
        return f"‖J(y)‖ = {sigma:.6g} is not below 1"
    delta = discriminant(r, sigma, case.M_J)
    # The bound still holds for Δ = 0, but then the fixed point is double, and Newton does not find it to rounding.
    return None if delta > 1e-6 else f"the discriminant (1−σ)² − 2 M_J r = {delta:.3g} is not positive"


def _both(case: Case, steps: int, constant: float) -> tuple[Sides, Sides]:
    # The reference starts at y too, because a map without a global constant can have several fixed points.
    case_at_y = replace(case, x0=iterate(case, steps))
    e, (r, sigma) = solve_exactly(case_at_y), residual_and_slope(case_at_y)
    rho = radius(r, sigma, case.M_J, constant)
    return Sides(e.distance, rho, two_norm(e.x) + two_norm(case_at_y.x0)), Sides(
        two_norm(e.J), sigma + case.M_J * rho, 1.0
    )


curveds = st.builds(
    curved,
    st.sampled_from((-0.5, 0.2, 0.5, 0.9, 1.2)),
    st.sampled_from((0.1, 0.3, 1.0)),
    st.sampled_from((-3.0, -1.0, -0.5, 0.3, 1.0)),
)

CLAIM = Claim(
    id="C25",
    statement="‖y − x*‖ ≤ ϱ = 2r/((1−σ)+√((1−σ)²−2M_J r)) and ‖J(x*)‖ ≤ σ + M_J ϱ, from ‖J(y)‖ = σ alone",
    source="Kantorovich; PROOFS S4(d) with 2 for 4",
    assumptions="σ < 1, M_J valid on the ball, (1−σ)² > 2 M_J r",
    examples=st.tuples(st.one_of(curveds, curveds, curveds, synthetic.contractions), st.integers(0, 12)),
    sides=lambda case, steps: conjunction(*_both(case, steps, 2)),
    negative_control=lambda case, steps: disjunction(*_both(case, steps, 1)),
    false_statement="both with (1−σ)² − M_J r under the root",
    attained=True,
    outside=why_no_certificate,
)
