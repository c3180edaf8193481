"""The bound on the remainder of a linearised step, against sampled and adversarial perturbations; float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.penalties import huber
from bench.penalties.shrinkage_bounds import ShrinkageBounds
from tests.bench.penalties.test_derivative_bounds import EXACT, PHYSICS, SPLITTINGS, at, each
from tests.helpers.tensors import draw


def bounds(here) -> ShrinkageBounds:
    assert isinstance(here.regularity, ShrinkageBounds)
    return here.regularity


def remainder(here, u, there) -> float:
    """``uᵀ(T(x') − T(x)) − aᵀ(x' − x)``."""
    a, _ = here.pull(here.x, u)
    with torch.no_grad():
        moved = here.T(there) - here.T(here.x)
    return float((u * moved).sum() - (a * (there - here.x)).sum())


def worst(here, u, radius) -> float:
    """The largest remainder that gradient ascent in the ball finds, from several starts."""
    a, _ = here.pull(here.x, u)
    most = 0.0
    for seed in range(3):
        h = draw(seed, *here.x.shape)
        for _ in range(8):
            h = radius * h / h.norm()
            value = remainder(here, u, here.x + h)
            most = max(most, abs(value))
            there, _ = here.pull(here.x + h, u)
            h = (there - a) * (1 if value >= 0 else -1)
            if not bool(h.any()):
                break
    return most


@each
@settings(deadline=None, max_examples=3)
@given(physics=st.sampled_from(sorted(PHYSICS)), seed=st.integers(0, 1000), scale=st.integers(-4, 1))
def test_no_perturbation_leaves_more_than_the_bound(prior, splitting, physics, seed, scale):
    here = at(prior, physics, seed, splitting=splitting)
    u, radius = draw(seed + 3, *here.x.shape), 10.0**scale
    told = bounds(here).remainder(here.x, u, radius)
    assert worst(here, u, radius) <= told * EXACT + 1e-12


def test_one_kink_that_is_crossed_attains_the_bound():
    here = at(huber(0.05, 0.3), "denoising", 0, splitting=SPLITTINGS[1])
    there, slope = here.flipped(0)
    there = here.x + 3 * (there - here.x)
    radius = float((there - here.x).norm())
    # The cotangent that sees this coefficient alone.
    told = bounds(here).remainder(here.x, slope, radius)
    assert 0.9 * told < abs(remainder(here, slope, there)) <= told * EXACT


@pytest.mark.parametrize("splitting", SPLITTINGS, ids=lambda s: s.label)
def test_it_is_a_fraction_of_the_change_of_the_derivative_times_the_radius(splitting):
    here = at(huber(0.05, 0.3), "deblurring", 1, splitting=splitting)
    u, radius = draw(5, *here.x.shape), 0.1
    assert (
        bounds(here).remainder(here.x, u, radius) < 0.5 * here.regularity.change(here.x, u, radius).J * radius
    )


def test_no_radius_leaves_nothing():
    here = at(huber(0.05, 0.3), "denoising", 0)
    assert bounds(here).remainder(here.x, here.x, 0.0) == 0
