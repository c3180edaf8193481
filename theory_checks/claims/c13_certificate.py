"""C13. A certificate of the error, from what a run of restarted JFB knows about itself.

At the point y that was reached, with ``e_k ≥ ‖x_k − x*‖`` by residuals, ``w_k`` the adjoints of the recorded
iterates, ``S = Σ e_{k−1}‖w_k‖`` and ``b = ‖B(y)‖ + M_B e_K``,

‖g_{K,R} − F'‖ ≤ b‖w_0‖/(1−L) + H e_K + M_B S + b/(1−L) · (Λ e_K + M_J S).

Only the first term is left at the equilibrium, where it is attained with ``J = L·I``. Assumes that L < 1,
M_J, M_B, Λ and H (Lipschitz constants of T, J, B, ∇ₓℓ and ∇_θℓ) hold on a set with all iterates and x*.

Source: PROOFS B1.
"""

from __future__ import annotations

from hypothesis import strategies as st

from .. import cases
from ..cases import Case
from ..certificates import certificate
from ..claim import Claim, Sides
from ..exact import exact, norm


def _sides(case: Case, K: int, R: int) -> Sides:
    e, run = exact(case), certificate(case, K, R)
    return Sides(norm(run.gradient - e.gradient), run.bound, norm(e.gradient))


def _too_strong(case: Case, K: int, R: int) -> Sides:
    e, run = exact(case), certificate(case, K, R)
    return Sides(norm(run.gradient - e.gradient), run.point + run.adjoint, norm(e.gradient))


CLAIM = Claim(
    id="C13",
    statement="‖g_{K,R} − F'‖ ≤ H e_K + M_B S + b/(1−L) · (‖w_0‖ + Λ e_K + M_J S), all known at run time",
    source="PROOFS B1",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.tuples(cases.contractions, cases.depths, cases.restarts),
    sides=_sides,
    too_strong=_too_strong,
    twin="the same without 1/(1−L)",
    attained=True,
)
