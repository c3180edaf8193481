"""C6. The error of restarted JFB.

``‖g_{K,R} − g_DEQ‖ ≤ bias + H L^Kδ + (b geo_K + D) Λ L^Kδ + D‖v‖`` with ``δ = L^{KR}‖x0 − x*‖`` and ``D =
L^{K−1} δ [K M_B + M_J b/(1−L) (K − geo_K)]``: depth removes the bias of the derivative, restarts the error of
the point. Attained by ``J = L·I`` (bias) and by ``T = θx + c`` with a linear loss (the ``K L^{K−1}`` term).

Source: Davy, Briceño-Arias, Pustelnik (arXiv 2506.13239), derived with closed constants in PROOFS S5.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import restarted_jfb

from .. import cases
from ..bounds import restarted_bound
from ..cases import Case
from ..claim import Claim, Sides
from ..exact import estimate, exact, norm


def error(case: Case, K: int, R: int) -> float:
    """``‖g_{K,R} − g_DEQ‖`` of the real estimator."""
    return norm(estimate(restarted_jfb(K, R), case) - exact(case).gradient)


def _scale(case: Case) -> float:
    e = exact(case)
    return norm(e.gradient) + norm(e.v) + norm(e.B)


CLAIM = Claim(
    id="C6",
    statement="‖g_{K,R} − g_DEQ‖ ≤ bias(K) + trajectory(K, R), both with closed constants",
    source="arXiv 2506.13239; PROOFS S5",
    assumptions="L < 1; M_J, M_B Lipschitz constants of the Jacobians",
    examples=st.tuples(cases.contractions, cases.depths, cases.restarts),
    sides=lambda case, K, R: Sides(
        error(case, K, R), restarted_bound(case, exact(case), K, R).total, _scale(case)
    ),
    too_strong=lambda case, K, R: Sides(
        error(case, K, R), restarted_bound(case, exact(case), K, R).bias, _scale(case)
    ),
    twin="the bias alone bounds it, without the trajectory",
    attained=True,
)
