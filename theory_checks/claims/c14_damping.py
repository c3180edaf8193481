"""C14. Damping keeps the equilibrium and slows the iteration down.

``T_λ = (1−λ)I + λT`` with ``0 < λ ≤ 1`` has the fixed point of T, and
``‖T_λ(x) − T_λ(y)‖ ≤ (1 − λ(1−L))‖x − y‖``. So every solver on ``T_λ`` reaches the same x*: plain iterations
within ``(1 − λ(1−L))^N ‖x⁰ − x*‖``, a DEQ within the distance that its residual implies. Assumes L < 1.
Attained with ``J = L·I``.

Source: Geng et al. (arXiv 2111.05177), the damped unrolling of the phantom gradient; THEORY C14.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from solvers import Map, deq, restarted_jfb

from ..engine import Claim, Sides, conjunction, disjunction
from ..instances import Case, solve_exactly, standard_normal, synthetic, two_norm
from ..instances.batches import batches, solver_map, solver_state


def _damped(case: Case, weight: float, whole: bool = True) -> Map:
    T = case.T if whole else solver_map(case)
    return lambda x: (1 - weight) * x + weight * T(x)


def _contracts(case: Case, weight: float, seed: int, factor: float) -> Sides:
    x, y = case.x0, standard_normal(seed, len(case.x0))
    T = _damped(case, weight)
    with torch.no_grad():
        return Sides(two_norm(T(x) - T(y)), factor * two_norm(x - y), two_norm(x) + two_norm(y))


def _iterates(case: Case, weight: float, K: int, R: int, factor: float) -> Sides:
    e = solve_exactly(case)
    x = restarted_jfb(K, R)(_damped(case, weight), case.x0).x.detach()
    return Sides(two_norm(x - e.x), factor ** (K * (R + 1)) * e.distance, two_norm(e.x) + e.distance)


def _solved(case: Case, weight: float, factor: float) -> Sides:
    e = solve_exactly(case)
    solution = deq(1e-8)(_damped(case, weight, whole=False), solver_state(case, case.x0))
    y = solution.x.detach().flatten()
    # The reported residual belongs to the point before the recorded application, whose error is smaller by the factor.
    return Sides(
        two_norm(y - e.x), factor / (1 - factor) * solution.forward.residual * two_norm(y), two_norm(y)
    )


def _same_point(case: Case, weight: float) -> Sides:
    x = solve_exactly(case).x
    with torch.no_grad():
        return Sides(two_norm(_damped(case, weight)(x) - x), 0.0, two_norm(x) + two_norm(case.x0))


def _sides(case: Case, weight: float, seed: int, K: int, R: int) -> Sides:
    factor = 1 - weight * (1 - case.L)
    return conjunction(
        _same_point(case, weight),
        _contracts(case, weight, seed, factor),
        _iterates(case, weight, K, R, factor),
        _solved(case, weight, factor),
    )


def _negative_control(case: Case, weight: float, seed: int, K: int, R: int) -> Sides:
    factor = case.L**weight
    return disjunction(_contracts(case, weight, seed, factor), _iterates(case, weight, K, R, factor))


CLAIM = Claim(
    id="C14",
    statement="(1−λ)I + λT has the fixed point of T and contracts by 1 − λ(1−L)",
    source="arXiv 2111.05177; THEORY C14",
    assumptions="L < 1, 0 < λ ≤ 1",
    examples=st.tuples(
        st.one_of(synthetic.contractions, batches),
        st.sampled_from((0.1, 0.5, 0.9, 1.0)),
        synthetic.seeds,
        synthetic.depths,
        synthetic.restarts,
    ),
    sides=_sides,
    negative_control=_negative_control,
    false_statement="the same with the smaller factor L^λ",
    attained=True,
)
