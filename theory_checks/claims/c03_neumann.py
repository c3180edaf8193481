"""C3. At the equilibrium, JFB through K layers is the K-term Neumann series.

``g_K = h + Bᵀ Σ_{k<K} (Jᵀ)^k v``. One recorded layer gives the same series, so memory need not grow with K.
With damping λ (phantom gradients) it is the series of ``λB`` and ``λJ + (1 − λ)I``. An equality, which
distinguishes K layers from K ± 1; no bound does that.

Source: arXiv 2506.13239; PROOFS S2.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from solvers import neumann, phantom, restarted_jfb

from ..engine import Claim, Sides
from ..instances import Case, power_sum, solve_exactly, solver_gradient, synthetic, two_norm
from ..instances.batches import batches

DAMPING = 0.3


def _sides(case: Case, K: int, R: int, terms: int) -> Sides:
    e = solve_exactly(case)
    damped = DAMPING * e.J + (1 - DAMPING) * torch.eye(len(e.x), dtype=torch.float64)
    series = e.B.T @ (power_sum(e.J.T, terms) @ e.v), DAMPING * e.B.T @ (power_sum(damped.T, terms) @ e.v)
    plain, phantom_series = (e.h + part for part in series)
    pairs = ((restarted_jfb(K, R), plain), (neumann(R, K), plain), (phantom(R, K, DAMPING), phantom_series))
    worst = max(two_norm(solver_gradient(solver, case, e.x) - expected) for solver, expected in pairs)
    return Sides(worst, 0.0, two_norm(plain) + two_norm(e.v))


CLAIM = Claim(
    id="C3",
    statement="at x*: g_K = h + Bᵀ Σ_{k<K} (Jᵀ)^k v, from K recorded layers and from one; phantom's with damped J",
    source="arXiv 2506.13239; PROOFS S2",
    assumptions="L < 1, started at the equilibrium",
    examples=st.tuples(st.one_of(synthetic.contractions, batches), synthetic.depths, synthetic.restarts),
    sides=lambda case, K, R: _sides(case, K, R, K),
    negative_control=lambda case, K, R: _sides(case, K, R, K + 1),
    false_statement="the series has K+1 terms",
    rounding=1e-10,
)
