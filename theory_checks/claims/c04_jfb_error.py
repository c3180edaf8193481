"""C4. The error of K-layer JFB at the equilibrium.

``‖g_K − g_DEQ‖ ≤ ‖P_K‖ · q/(1 − q) · ‖v‖`` with ``P_K = ∂_θΦ_K(x*)`` and ``q = ‖J^K‖ ≤ L^K``: the bias left
when the Neumann series stops after K terms, whatever the restarts. Attained with ``J = L·I`` and a loss along
one direction.

Source: Davy, Briceño-Arias, Pustelnik (arXiv 2506.13239); PROOFS S3(b), S3(c).
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import restarted_jfb

from .. import cases
from ..cases import Case
from ..claim import Claim, Sides
from ..exact import estimate, exact, norm, powers


def _sides(case: Case, K: int, power: int) -> Sides:
    e = exact(case)
    # At the equilibrium restarts change nothing: start there, and the real estimator is K-layer JFB.
    error = norm(estimate(restarted_jfb(K, 0), case, e.x) - e.gradient)
    q = case.L**power
    return Sides(error, norm(powers(e.J, K) @ e.B) * norm(e.v) * q / (1 - q), norm(e.gradient))


CLAIM = Claim(
    id="C4",
    statement="‖g_K − g_DEQ‖ ≤ ‖∂_θΦ_K‖ · L^K/(1−L^K) · ‖v‖ at the equilibrium",
    source="arXiv 2506.13239; PROOFS S3",
    assumptions="L < 1",
    examples=st.tuples(cases.contractions, cases.depths),
    sides=lambda case, K: _sides(case, K, K),
    too_strong=lambda case, K: _sides(case, K, K + 1),
    twin="the same with L^(K+1)",
    attained=True,
)
