"""The schedule of tolerances: its laws, and what it promises of gradient descent on a problem with known constants."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from solvers import ToleranceSchedule, certified, deq, jfb

norms = st.lists(st.floats(1e-12, 1e12), max_size=30)
schedules = st.builds(
    lambda first, share, power: ToleranceSchedule(first, first * share, power),
    st.floats(1e-3, 0.999),
    st.floats(1e-6, 1),
    st.sampled_from((0.0, 0.5, 1.0, 2.0)),
)


@given(schedules, norms)
def test_it_stays_between_its_ends_and_never_goes_up(schedule, sizes):
    rtols = [schedule.rtol(sizes[:t]) for t in range(len(sizes) + 1)]
    assert rtols[0] == schedule.first
    assert all(schedule.last <= rtol <= schedule.first for rtol in rtols)
    assert all(b <= a for a, b in itertools.pairwise(rtols))


@given(schedules, norms, st.integers(-40, 40))
def test_a_loss_that_is_scaled_leaves_it_as_it_is(schedule, sizes, power):
    """By powers of two, so that nothing is rounded."""
    assert schedule.rtol([2.0**power * size for size in sizes]) == schedule.rtol(sizes)


def test_its_values_by_hand():
    schedule = ToleranceSchedule(0.4, 0.01)
    assert schedule.rtol([8.0]) == 0.4
    assert schedule.rtol([8.0, 2.0]) == pytest.approx(0.1)
    # A gradient that grows again, and one that is smaller still.
    assert schedule.rtol([8.0, 2.0, 6.0]) == pytest.approx(0.1)
    assert schedule.rtol([8.0, 2.0, 6.0, 1e-9]) == 0.01
    assert ToleranceSchedule(0.4, 0.01, 2.0).rtol([8.0, 4.0]) == pytest.approx(0.1)
    assert ToleranceSchedule(0.4, 0.01, 0).rtol([8.0, 1e-9]) == 0.4
    # Where it starts, nothing is left to do.
    assert schedule.rtol([0.0]) == 0.01


@pytest.mark.parametrize("sizes", [[1.0, -1.0], [math.nan], [math.inf, 1.0]])
def test_norms_that_are_none_are_refused(sizes):
    with pytest.raises(ValueError, match="finite and not negative"):
        ToleranceSchedule().rtol(sizes)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((1.0, 0.1), "first must be below 1"),
        ((0.1, 0.2), "last must be at most first, 0.1"),
        ((0, 0), "first must be a positive"),
        ((0.3, 0.0), "last must be a positive"),
        ((0.3, 0.1, -1.0), "power must be a positive"),
    ],
)
def test_values_out_of_range_are_refused(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        ToleranceSchedule(*arguments)


def test_a_certified_solver_gets_the_tolerance_and_keeps_label_and_budget():
    schedule, own = ToleranceSchedule(0.2, 1e-3), certified(1e-2, 77)
    found = schedule.tighten(own, [1.0, 0.5])
    assert found == certified(0.1, 77)
    assert found.label == own.label
    for other in (deq(1e-4), jfb(3)):
        assert schedule.tighten(other, [1.0]) is other


def descend(schedule, steps, direction):
    """Gradient descent on a convex quadratic with eigenvalues from 1 to 1e-6; each gradient is as wrong as it may be.

    Returns the distance to the exact trajectory, the sum of the errors, and what the schedule promises of it.
    """
    spectrum = torch.logspace(0, -6, 12, dtype=torch.float64)
    theta = torch.randn(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact, start, sizes, total = theta, theta, [], 0.0
    for t in range(steps):
        slope, way = spectrum * theta, direction(t, spectrum * theta)
        error = schedule.rtol(sizes) * slope.norm() * way / way.norm()
        theta, exact = theta - slope - error, exact - spectrum * exact
        sizes.append(float((slope + error).norm()))
        total += float(error.norm())
    gain, first = float(start @ (spectrum * start)) / 2, schedule.first
    promised = first * float((spectrum * start).norm()) + 2 * first * gain / ((1 - first) * sizes[0])
    return float((theta - exact).norm()), total, promised


@given(st.floats(0.05, 0.9), st.integers(0, 10_000), st.sampled_from((-1.0, 0.0, 1.0)))
def test_the_whole_trajectory_is_within_the_distance_that_is_promised(first, seed, along):
    rng = torch.Generator().manual_seed(seed)

    def direction(_, slope):
        return slope * along if along else torch.randn(12, generator=rng, dtype=torch.float64)

    distance, total, promised = descend(ToleranceSchedule(first, 1e-300), 200, direction)
    assert distance <= total * (1 + 1e-12)
    assert total <= promised


def test_a_fixed_tolerance_keeps_no_such_promise():
    rng = torch.Generator().manual_seed(1)

    def direction(*_):
        return torch.randn(12, generator=rng, dtype=torch.float64)

    fixed, follows = (descend(ToleranceSchedule(0.1, 1e-300, power), 1000, direction) for power in (0.0, 1.0))
    assert fixed[1] > 1.2 * fixed[2]
    assert follows[1] < 0.6 * follows[2]
