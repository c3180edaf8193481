"""C7. Truncated unrolling, and what a restart buys.

Unrolling is C6 with ``R = 0``. What the error of the point adds to the gradient of K-layer JFB at the
equilibrium is bounded by C6's trajectory term, which each restart multiplies by ``L^K``. With ``R = 0`` the
term is of order ``K L^{K−1}``: it may rise before it falls. Attained by ``T = θx + c`` with a linear loss.

Source: PROOFS S5; Ablin, Peyré, Moreau (arXiv 2002.03722) for the transient.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import restarted_jfb, unrolled

from .. import cases
from ..bounds import restarted_bound
from ..cases import Case
from ..claim import Claim, Sides
from ..exact import estimate, exact, norm


def _sides(case: Case, K: int, R: int, layers: int) -> Sides:
    e = exact(case)
    solver = unrolled(K) if R == 0 else restarted_jfb(K, R)
    at_equilibrium = estimate(restarted_jfb(K, 0), case, e.x)
    bound = restarted_bound(case, e, K, R)
    trajectory = (bound.loss + bound.derivative) * layers / K
    scale = norm(e.gradient) + norm(e.v) + norm(e.B)
    return Sides(norm(estimate(solver, case) - at_equilibrium), trajectory, scale)


CLAIM = Claim(
    id="C7",
    statement="‖g_{K,R} − g_{K,∞}‖ ≤ C·K·L^{K−1}·L^{KR}: O(K L^{K−1}) for unrolling, L^K less a restart",
    source="PROOFS S5",
    assumptions="L < 1; M_J, M_B Lipschitz constants of the Jacobians",
    examples=st.tuples(cases.contractions, cases.depths, cases.restarts),
    sides=lambda case, K, R: _sides(case, K, R, K),
    too_strong=lambda case, K, R: _sides(case, K, R, 1),
    twin="without the factor K",
    attained=True,
)
