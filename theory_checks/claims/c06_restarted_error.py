"""C6. The error of restarted JFB.

``‖g_{K,R} − g_DEQ‖ ≤ bias + H L^Kδ + (b geo_K + D) Λ L^Kδ + D‖v‖`` with ``δ = L^{KR}‖x0 − x*‖`` and
``D = L^{K−1} δ [K M_B + M_J b/(1−L) (K − geo_K)]``. Depth reduces the bias of the derivative, restarts the
error of the point. Attained by ``J = L·I`` (bias), and by ``T = θx + c`` with a linear loss (the ``K L^{K−1}``
term).

Source: Davy, Briceño-Arias, Pustelnik (arXiv 2506.13239), derived with closed constants in PROOFS S5.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import restarted_jfb

from ..engine import Claim, Sides
from ..instances import Case, solve_exactly, solver_gradient, synthetic, two_norm
from ..instances.bounds import restarted_bound


def restarted_error(case: Case, K: int, R: int) -> float:
    """``‖g_{K,R} − g_DEQ‖`` of the real estimator."""
    return two_norm(solver_gradient(restarted_jfb(K, R), case) - solve_exactly(case).gradient)


def _scale(case: Case) -> float:
    e = solve_exactly(case)
    return two_norm(e.gradient) + two_norm(e.v) + two_norm(e.B)


CLAIM = Claim(
    id="C6",
    statement="‖g_{K,R} − g_DEQ‖ ≤ bias(K) + trajectory(K, R), both with closed constants",
    source="arXiv 2506.13239; PROOFS S5",
    assumptions="L < 1; M_J, M_B Lipschitz constants of the Jacobians",
    examples=st.tuples(synthetic.contractions, synthetic.depths, synthetic.restarts),
    sides=lambda case, K, R: Sides(
        restarted_error(case, K, R), restarted_bound(case, solve_exactly(case), K, R).total, _scale(case)
    ),
    negative_control=lambda case, K, R: Sides(
        restarted_error(case, K, R), restarted_bound(case, solve_exactly(case), K, R).bias, _scale(case)
    ),
    false_statement="the bias alone bounds it, without the trajectory",
    attained=True,
    hard_examples=st.tuples(synthetic.hard_contractions, synthetic.hard_depths, synthetic.restarts),
)
