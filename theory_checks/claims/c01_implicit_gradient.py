"""C1. ``∇_θ ℓ(x*(θ)) = g_DEQ``: the implicit function theorem.

The left side by central differences of the re-solved problem, plain iterations at ``θ ± η``: the one road
that shares no tape with the estimators. The right side is what the real ``deq`` returns. Exact; here to the
error of the differences. Source: Bai, Kolter, Koltun (arXiv 1909.01377); PROOFS S1(d).
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import Picard, Solver, deq, jfb

from .. import cases
from ..cases import Case
from ..claim import Claim, Sides
from ..exact import estimate, exact, norm

ETA = 1e-5
MOST = 6
"""Coordinates that are differenced; a map with more parameters is sampled evenly."""


def differences(case: Case, coordinates: list[int]) -> Tensor:
    """Central differences of ``θ -> ℓ(x*(θ), θ)``, each side solved by plain iterations from the equilibrium."""
    theta, start = case.T.theta, exact(case).x
    reach = Picard(1e-15, 2000)
    found = torch.zeros(len(coordinates), dtype=torch.float64)
    with torch.no_grad():
        for k, i in enumerate(coordinates):
            sides: list[float] = []
            for step in (ETA, -2 * ETA):
                theta[i] += step
                sides.append(float(case.loss(reach(case.T, start).x, theta)))
            theta[i] += ETA
            found[k] = (sides[0] - sides[1]) / (2 * ETA)
    return found


def _sides(case: Case, solver: Solver) -> Sides:
    p = len(case.T.theta)
    coordinates = list(range(0, p, -(-p // MOST)))
    wanted = differences(case, coordinates)
    found = estimate(solver, case)[coordinates]
    return Sides(norm(found - wanted), 0.0, norm(wanted) + norm(exact(case).v))


CLAIM = Claim(
    id="C1",
    statement="∇_θ ℓ(x*(θ)) = g_DEQ",
    source="arXiv 1909.01377; PROOFS S1(d)",
    assumptions="L < 1",
    examples=st.tuples(st.one_of(cases.affines, cases.tanhs, cases.networks)),
    sides=lambda case: _sides(case, deq(1e-12, 500)),
    too_strong=lambda case: _sides(case, jfb(500)),
    twin="JFB is the gradient",
    # Central differences: η²/6 of a third derivative, and rounding of 1e-16/η.
    rounding=1e-6,
)
