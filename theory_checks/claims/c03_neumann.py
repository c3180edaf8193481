"""C3. At the equilibrium, JFB through K layers is the K-term Neumann series.

``g_K = h + Bᵀ Σ_{k<K} (Jᵀ)^k v``, and the same from one recorded layer, so that memory need not grow with K.
Equality; it is what tells K layers from K ± 1, which no bound does. Source: arXiv 2506.13239; PROOFS S2.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import Solver, neumann, restarted_jfb

from .. import cases
from ..cases import Case
from ..claim import Claim, Sides
from ..exact import estimate, exact, norm, powers


def _sides(case: Case, solvers: tuple[Solver, ...], terms: int) -> Sides:
    e = exact(case)
    wanted = e.h + e.B.T @ (powers(e.J.T, terms) @ e.v)
    worst = max(norm(estimate(solver, case, e.x) - wanted) for solver in solvers)
    return Sides(worst, 0.0, norm(wanted) + norm(e.v))


def _both(K: int, R: int) -> tuple[Solver, ...]:
    return restarted_jfb(K, R), neumann(R, K)


CLAIM = Claim(
    id="C3",
    statement="at x*: g_K = h + Bᵀ Σ_{k<K} (Jᵀ)^k v, from K recorded layers and from one",
    source="arXiv 2506.13239; PROOFS S2",
    assumptions="L < 1, started at the equilibrium",
    examples=st.tuples(cases.contractions, cases.depths, cases.restarts),
    sides=lambda case, K, R: _sides(case, _both(K, R), K),
    too_strong=lambda case, K, R: _sides(case, _both(K, R), K + 1),
    twin="the series has K+1 terms",
    rounding=1e-10,
)
