"""C7. The trajectory term of truncated unrolling, and its reduction by a restart.

Unrolling is C6 with ``R = 0``. The gradient differs from that of K-layer JFB at the equilibrium by at most the
trajectory term of C6, which each restart multiplies by ``L^K``. With ``R = 0`` the term is of order
``K L^{K−1}``, so it may grow with K before it decays. Attained by ``T = θx + c`` with a linear loss.

Source: PROOFS S5; Ablin, Peyré, Moreau (arXiv 2002.03722) for the transient.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import restarted_jfb, unrolled

from ..engine import Claim, Sides
from ..instances import Case, solve_exactly, solver_gradient, synthetic, two_norm
from ..instances.bounds import restarted_bound


def _sides(case: Case, K: int, R: int, layers: int) -> Sides:
    e = solve_exactly(case)
    solver = unrolled(K) if R == 0 else restarted_jfb(K, R)
    at_equilibrium = solver_gradient(restarted_jfb(K, 0), case, e.x)
    bound = restarted_bound(case, e, K, R)
    trajectory = (bound.loss + bound.derivative) * layers / K
    scale = two_norm(e.gradient) + two_norm(e.v) + two_norm(e.B)
    return Sides(two_norm(solver_gradient(solver, case) - at_equilibrium), trajectory, scale)


CLAIM = Claim(
    id="C7",
    statement="‖g_{K,R} − g_{K,∞}‖ ≤ C·K·L^{K−1}·L^{KR}: O(K L^{K−1}) for unrolling, L^K less a restart",
    source="PROOFS S5",
    assumptions="L < 1; M_J, M_B Lipschitz constants of the Jacobians",
    examples=st.tuples(synthetic.contractions, synthetic.depths, synthetic.restarts),
    sides=lambda case, K, R: _sides(case, K, R, K),
    negative_control=lambda case, K, R: _sides(case, K, R, 1),
    false_statement="without the factor K",
    attained=True,
    hard_examples=st.tuples(synthetic.hard_contractions, synthetic.hard_depths, synthetic.restarts),
)
