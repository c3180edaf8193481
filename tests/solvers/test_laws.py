"""The algebra of estimators: what equals what, to the bit or to rounding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from solvers import (
    Anderson,
    FixedPoint,
    FixedSteps,
    ImplicitDifferentiation,
    Picard,
    Solver,
    SolveReport,
    TruncatedBackprop,
    deq,
    jfb,
    neumann,
    restarted_jfb,
    unrolled,
)
from solvers.conformance import Contraction, dense_oracle, gradient_of, relative_error, start

depth = st.integers(1, 8)
restarts = st.integers(0, 5)


def power(T, K):
    """T^K as a map."""

    def composed(x):
        for _ in range(K):
            x = T(x)
        return x

    return composed


def estimate(solver, T=None, module=None, x0=None):
    module = module or Contraction()
    module.zero_grad()
    x = solver(T or module, start(2, 6) if x0 is None else x0).x
    (0.5 * x.square().sum()).backward()
    return torch.cat([p.grad.flatten() for p in module.parameters()])


@given(N=depth)
def test_unrolled_is_restarted_without_restarts(N):
    assert unrolled(N) == restarted_jfb(N, 0)
    assert torch.equal(estimate(unrolled(N)), estimate(restarted_jfb(N, 0)))


@given(N=st.integers(0, 12))
def test_jfb_is_the_one_term_series(N):
    assert jfb(N) == restarted_jfb(1, N)
    torch.testing.assert_close(estimate(jfb(N)), estimate(neumann(N, 1)), rtol=1e-14, atol=1e-15)


@given(K=depth, R=restarts)
def test_restarted_jfb_is_jfb_on_the_power(K, R):
    T = Contraction()
    restarted = estimate(restarted_jfb(K, R), module=T)
    assert torch.equal(restarted, estimate(jfb(R), T=power(T, K), module=T))


@given(K=depth, R=restarts)
def test_at_an_equilibrium_restarted_jfb_is_the_series(K, R):
    T = Contraction()
    with torch.no_grad():
        star = power(T, 200)(start(2, 6))
    a = estimate(restarted_jfb(K, R), module=T, x0=star)
    b = estimate(neumann(R, K), module=T, x0=star)
    torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-14)


@given(K=depth, R=restarts)
def test_restarted_jfb_is_the_tail_of_backpropagation(K, R):
    """THEORY C18: truncated back-propagation, with dense Jacobians and no autograd through the loop."""
    T = Contraction()
    with torch.no_grad():
        points = [start(6)]
        for _ in range((R + 1) * K):
            points.append(T(points[-1]))
    w = points[-1].clone()
    expected = torch.zeros(sum(p.numel() for p in T.parameters()), dtype=torch.float64)
    for x in reversed(points[R * K : -1]):
        grads = torch.autograd.grad(T(x), list(T.parameters()), w)
        expected += torch.cat([g.flatten() for g in grads])
        w = torch.autograd.functional.jacobian(T, x).T @ w
    found = estimate(restarted_jfb(K, R), module=T, x0=start(6))
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("reach", [Picard(1e-13), Anderson(1e-13), Anderson(1e-13, memory=1)])
def test_every_reach_solves_both_directions(reach):
    T = Contraction()
    found, solution = gradient_of(Solver("both", reach, ImplicitDifferentiation(reach)), T, start(2, 6))
    assert solution.converged
    assert relative_error(found, dense_oracle(T, start(2, 6))) < 1e-11


@pytest.mark.parametrize("reach", [Picard(1e-3), Anderson(1e-3), Picard(1e-12, budget=4)])
def test_the_residual_is_that_of_the_point_returned(reach):
    T = Contraction()
    with torch.no_grad():
        at = reach(T, start(2, 6))
        image = T(at.x)
        sizes = torch.linalg.vector_norm(image - at.x, dim=1) / torch.linalg.vector_norm(image, dim=1)
    assert at.report.residual == pytest.approx(float(sizes.max()), rel=1e-12)
    assert at.report.converged == (at.report.residual <= reach.tol)


def test_a_missed_tolerance_is_reported_in_both_directions():
    T = Contraction()
    _, solution = gradient_of(deq(1e-12, 3), T, start(2, 6))
    assert solution.forward.converged is False
    assert solution.adjoint[0].converged is False
    assert not solution.converged
    assert solution.forward.applications == 3
    assert solution.adjoint[0].applications == 3


def test_anderson_needs_fewer_applications_and_survives_a_map_that_hates_it():
    """A kinked contraction on which extrapolation overshoots: the safeguard must still converge."""

    def kinked(x):
        return torch.where(x > 0, -0.95 * x, 0.3 * x) + 0.1 + 0.02 * x.roll(1, 1).abs()

    start = torch.linspace(-3, 3, 64, dtype=torch.float64).view(4, 16)
    with torch.no_grad():
        assert Anderson(1e-8, budget=4000)(kinked, start).report.converged
    W = torch.diag(torch.linspace(0, 0.99, 16, dtype=torch.float64))
    plain = Picard(1e-8, 5000)(lambda x: x @ W + 1, start).report
    fast = Anderson(1e-8, 5000)(lambda x: x @ W + 1, start).report
    assert plain.converged
    assert fast.converged
    assert fast.applications * 10 < plain.applications


def test_anderson_passes_a_point_whose_image_is_almost_zero():
    """There the relative residual is huge, and no reason to turn back: found by the claims of theory_checks."""
    x0 = torch.tensor([[-1 / 0.9 * (1 / 0.9 + 1) + 1e-9]], dtype=torch.float64)
    assert abs(0.9 * (0.9 * x0 + 1) + 1) < 1e-8
    assert Anderson(1e-10, 10)(lambda x: 0.9 * x + 1, x0).report.converged
    assert Picard(1e-10, 500)(lambda x: 0.9 * x + 1, x0).report.converged
    clipped = Picard(1e-10, 500)(lambda x: torch.relu(0.5 * x - 1) + 0.1 * (x < 0), x0.abs()).report
    assert clipped.residual == clipped.residual


def test_anderson_keeps_its_pace_where_its_history_is_degenerate():
    """More differences in memory than the map has directions: the least squares are singular."""
    W = torch.zeros(8, 8, dtype=torch.float64)
    W[0, 0], W[1, 1] = 0.99, -0.9
    report = Anderson(1e-13, 40)(
        lambda x: x @ W + 1, torch.linspace(-3, 3, 16, dtype=torch.float64).view(2, 8)
    ).report
    assert report.converged
    assert report.applications <= 9


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_map_that_breaks_ends_the_solve_and_says_so(bad):
    for reach in (Picard(), Anderson()):
        report = reach(lambda x: x * 0 + bad, torch.ones(2, 3)).report
        assert report.converged is False
        assert report.applications < 50


def test_an_expansive_map_is_reported():
    report = Picard(1e-6, 50)(lambda x: 2 * x + 1, torch.ones(1, 3, dtype=torch.float64)).report
    assert report == SolveReport(50, pytest.approx(0.5, rel=1e-6), False)


def test_differentiating_twice_through_the_exchange_is_refused():
    """By ``backward`` and by ``grad`` alike: the latter was seen to return a wrong number in silence."""
    T = Contraction()
    x = deq(1e-10)(T, start(2, 6)).x
    with pytest.raises(RuntimeError, match="differentiated again"):
        torch.autograd.grad(x.square().sum(), T.c, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiated again"):
        deq(1e-10)(T, start(2, 6)).x.square().sum().backward(create_graph=True)


def test_backward_twice_reports_twice_and_agrees():
    T = Contraction()
    solution = deq(1e-12)(T, start(2, 6))
    loss = solution.x.square().sum()
    first = torch.autograd.grad(loss, list(T.parameters()), retain_graph=True)
    second = torch.autograd.grad(loss, list(T.parameters()))
    assert len(solution.adjoint) == 2
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


def test_a_zero_cotangent_gives_a_zero_gradient():
    """C21: at an interpolating loss every estimate is zero, not nan."""
    for solver in (deq(1e-12), neumann(5, 3), restarted_jfb(2, 2)):
        found, _ = gradient_of(solver, Contraction(), start(2, 6), lambda x: 0 * x.sum())
        assert torch.equal(found, torch.zeros_like(found))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: unrolled(0), "K must be at least 1, not 0"),
        (lambda: restarted_jfb(1, -1), "R must be at least 0, not -1"),
        (lambda: restarted_jfb(2.5, 1), "K must be a whole number, not 2.5"),
        (lambda: restarted_jfb(True, 1), "K must be a whole number, not True"),
        (lambda: jfb(-1), "N must be at least 0, not -1"),
        (lambda: neumann(3, 0), "K must be at least 1, not 0"),
        (lambda: deq(0.0), "tol must be a positive number, not 0.0"),
        (lambda: deq(1e-3, 0), "budget must be at least 1, not 0"),
        (lambda: Anderson(memory=0), "memory must be at least 1, not 0"),
        (lambda: TruncatedBackprop(0), "steps must be at least 1, not 0"),
        (lambda: FixedSteps(-1), "steps must be at least 0, not -1"),
        (lambda: Picard(float("nan")), "tol must be a positive number, not nan"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_values_print_as_they_are_written():
    assert restarted_jfb(10, 3).label == "restarted_jfb(10, 3)"
    assert deq().label == "deq(1e-06)"
    assert deq(1e-8).label == "deq(1e-08)"
    assert deq(1e-8, 50).label == "deq(1e-08, 50)"
    assert (
        repr(FixedPoint(torch.zeros(1), SolveReport(2)).report)
        == "SolveReport(applications=2, residual=nan, converged=None, active_fraction=1.0)"
    )
