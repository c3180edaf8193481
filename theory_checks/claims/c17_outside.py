"""C17. Maps outside the theory are recognised.

Maps that violate the assumptions (nonexpansive only, or expansive) are recognised from applications and
products alone: the residual stalls, or ``‖J‖ ≥ 1`` by power iteration, or the adjoint does not decay. Checked
as ``mistakes ≤ 0``: maps of families known to be outside are recognised, contractions raise no alarm, and power
iteration finds ``‖J‖`` to 10 %.

Source: PROOFS S10 (D1 to D3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from ..engine import Claim, Sides
from ..instances import diagnostics, solve_exactly, synthetic, two_norm

F64 = torch.float64


@dataclass(frozen=True)
class ViolatingMap:
    """A map that violates the assumptions, and its start."""

    name: str
    T: Callable[[Tensor], Tensor]
    x0: Tensor

    def __repr__(self) -> str:
        return self.name


def reflection(n: int, seed: int) -> ViolatingMap:
    """``−x + c``: nonexpansive, and the iteration alternates for ever."""
    c = synthetic.standard_normal(seed, n)
    return ViolatingMap(
        f"reflection(n={n}, seed={seed})", lambda x: c - x, synthetic.standard_normal(seed + 1, n)
    )


def masked_step(n: int, seed: int) -> ViolatingMap:
    """A gradient step on half of the entries, and the identity on the others, as for a mask (α = 0)."""
    keep = (torch.arange(n) % 2 == 0).to(F64)
    y = synthetic.standard_normal(seed, n)
    return ViolatingMap(
        f"masked(n={n}, seed={seed})",
        lambda x: x - 0.5 * keep * (x - y),
        synthetic.standard_normal(seed + 1, n),
    )


def cubic(tau: float) -> ViolatingMap:
    """``x − τx³``: the fixed point 0 exists, but the rate is sublinear, because J(0) = 1."""
    return ViolatingMap(f"cubic({tau!r})", lambda x: x - tau * x**3, torch.full((1,), 0.9, dtype=F64))


def expansive(pairs: int, L: float, seed: int) -> ViolatingMap:
    """A bounded map that expands and rotates near its fixed point, as an unconstrained denoiser can."""
    turn = torch.tensor([[0.0, -L], [L, 0.0]], dtype=F64)
    W = torch.block_diag(*[turn] * pairs)
    x0 = synthetic.standard_normal(seed, 2 * pairs)
    return ViolatingMap(f"expansive(pairs={pairs}, L={L!r}, seed={seed})", lambda x: torch.tanh(W @ x), x0)


violators = st.one_of(
    st.builds(reflection, st.integers(1, 5), synthetic.seeds),
    st.builds(masked_step, st.integers(2, 5), synthetic.seeds),
    st.builds(cubic, st.sampled_from((0.1, 0.5))),
    st.builds(expansive, st.integers(1, 2), st.sampled_from((1.2, 2.0, 4.0)), synthetic.seeds),
)


def _sides(violator: ViolatingMap, contraction: synthetic.Case) -> Sides:
    missed = diagnostics.why_outside_theory(violator.T, violator.x0) is None
    alarm = diagnostics.why_outside_theory(contraction.T, contraction.x0) is not None
    e = solve_exactly(contraction)
    # Power iteration gives a lower bound, which is too low to be useful if it stops too early.
    estimated = diagnostics.jacobian_norm(contraction.T, e.x).value
    low = not 0.9 * two_norm(e.J) <= estimated <= two_norm(e.J) * (1 + 1e-9)
    return Sides(float(missed) + float(alarm) + float(low), 0.0, 0.0)


CLAIM = Claim(
    id="C17",
    statement="a map outside the assumptions is recognised, and a contraction raises no alarm",
    source="PROOFS S10",
    assumptions="none: this is what guards the others",
    # With a larger L the adjoint decays too slowly to be distinguished from one that does not.
    examples=st.tuples(violators, synthetic.mild_contractions),
    sides=_sides,
    # Diagnostics that never raise an alarm would miss every violation.
    negative_control=lambda violator, contraction: Sides(
        float(diagnostics.why_outside_theory(violator.T, violator.x0) is not None), 0.0, 0.0
    ),
    false_statement="nothing is ever outside",
)
