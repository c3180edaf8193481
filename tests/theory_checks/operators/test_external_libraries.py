"""Gradients of other libraries."""

from __future__ import annotations

from dataclasses import replace

from theory_checks.instances import synthetic
from theory_checks.instances.exact import solve_exactly, solver_gradient, two_norm


def test_peers_are_right_when_their_budgets_allow_and_an_absolute_tolerance_shows():
    from bench.external import torchdeq_ift

    case = synthetic.affine(3, 2, 0.5, 0)
    scaled = replace(case, loss=replace(case.loss, q=1e-4 * case.loss.q, M=1e-4 * case.loss.M))
    wanted = solve_exactly(case).gradient
    right = torchdeq_ift(500, 500, tol=1e-13, tol_backward=1e-13)
    assert two_norm(solver_gradient(right, case) - wanted) < 1e-9 * two_norm(wanted)
    loose = torchdeq_ift(100, 100, tol=1e-4, tol_backward=1e-4)
    off = two_norm(solver_gradient(loose, scaled) / 1e-4 - wanted) / two_norm(wanted)
    assert off > 10 * two_norm(solver_gradient(loose, case) - wanted) / two_norm(wanted)
