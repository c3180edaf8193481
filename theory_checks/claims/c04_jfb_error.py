"""C4. The error of K-layer JFB at the equilibrium.

``‖g_K − g_DEQ‖ ≤ ‖P_K‖ · q/(1 − q) · ‖v‖`` with ``P_K = ∂_θΦ_K(x*)`` and ``q = ‖J^K‖ ≤ L^K``. It is the bias of
a Neumann series of K terms, and restarts do not reduce it. Attained with ``J = L·I`` and a loss along one
direction.

Source: Davy, Briceño-Arias, Pustelnik (arXiv 2506.13239); PROOFS S3(b), S3(c).
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import restarted_jfb

from ..engine import Claim, Sides
from ..instances import Case, power_sum, solve_exactly, solver_gradient, synthetic, two_norm


def _sides(case: Case, K: int, power: int) -> Sides:
    e = solve_exactly(case)
    # Started at the equilibrium, the real estimator without restarts is K-layer JFB there.
    error = two_norm(solver_gradient(restarted_jfb(K, 0), case, e.x) - e.gradient)
    q = case.L**power
    return Sides(error, two_norm(power_sum(e.J, K) @ e.B) * two_norm(e.v) * q / (1 - q), two_norm(e.gradient))


CLAIM = Claim(
    id="C4",
    statement="‖g_K − g_DEQ‖ ≤ ‖∂_θΦ_K‖ · L^K/(1−L^K) · ‖v‖ at the equilibrium",
    source="arXiv 2506.13239; PROOFS S3",
    assumptions="L < 1",
    examples=st.tuples(synthetic.contractions, synthetic.depths),
    sides=lambda case, K: _sides(case, K, K),
    negative_control=lambda case, K: _sides(case, K, K + 1),
    false_statement="the same with L^(K+1)",
    attained=True,
    hard_examples=st.tuples(synthetic.hard_contractions, synthetic.hard_depths),
)
