"""Which estimator, which depth? Small tables whose answers are plain, and any table against its definition."""

from __future__ import annotations

import math
from statistics import mean, stdev

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.advice import ALIKE, WORK, Option, best, by_heading, cheapest, options, stops
from bench.pareto import COSTS

NAN = math.nan
MS = COSTS[1]


def option(solver="a(1)", error=0.001, work=10, ms=NAN, tape=1.0, psnrs=(20.0, 21.0), seeds=None):
    seeds = tuple(range(len(psnrs))) if seeds is None else seeds
    return Option("t", solver, solver[0], False, seeds, error, work - 1, 1, 1, ms, tape, 20.0, psnrs)


def test_the_cheapest_is_within_the_error_and_the_memory():
    rough = option("rough(1)", error=0.02, work=1)
    large = option("large(1)", work=5, tape=100)
    small = option("small(1)", work=9, tape=2)
    every = [rough, large, small]
    assert cheapest(every) is large
    assert cheapest(every, memory=50) is small
    assert cheapest(every, within=0.1) is rough
    assert cheapest(every, within=0.02) is rough  # a limit is kept by what lies on it
    assert cheapest(every, memory=2) is small
    assert cheapest(every, memory=1.9, within=0.01) is None
    assert cheapest([], within=1) is None


def test_of_equal_costs_the_smaller_tape_is_taken():
    first, second = option("a(1)", tape=3), option("b(1)", tape=2)
    assert cheapest([first, second]) is second
    assert cheapest([second, first]) is second
    again = option("c(1)", tape=2)
    assert cheapest([again, second]) is again  # then the first


def test_what_was_not_measured_is_no_answer():
    untimed, timed = option("a(1)", work=1), option("b(1)", work=9, ms=5.0)
    assert cheapest([untimed, timed], cost=MS) is timed
    assert cheapest([untimed], cost=MS) is None
    assert cheapest([option(error=NAN)]) is None
    unknown = option(tape=NAN)
    assert cheapest([unknown]) is unknown
    assert cheapest([unknown], memory=1e9) is None


def test_a_tie_goes_to_the_cheaper_one():
    good = option("good(1)", work=100, psnrs=(30.0, 20.0))
    alike = option("alike(1)", work=50, psnrs=(29.995, 19.995))
    mixed = option(
        "mixed(1)", work=10, psnrs=(29.0, 20.8)
    )  # behind by 0.1 dB, of which the seeds disagree by 1.3
    worse = option("worse(1)", work=1, psnrs=(29.9, 19.9))  # behind by 0.1 dB, on each seed
    found = best([good, alike, mixed, worse])
    assert found is not None
    assert (found.top, found.option, found.ties) == (good, mixed, 2)
    found = best([good, alike, worse])
    assert found is not None
    assert (found.top, found.option, found.ties) == (good, alike, 1)
    found = best([good, worse])
    assert found is not None
    assert (found.top, found.option, found.ties) == (good, good, 0)


def test_other_seeds_do_not_tie_and_lost_equilibria_do_not_count():
    good = option("good(1)", work=100, psnrs=(30.0, 20.0))
    elsewhere = option("else(1)", work=1, psnrs=(30.0, 20.0), seeds=(2, 3))
    lost = option("lost(1)", work=1, psnrs=(99.0, NAN))
    found = best([good, elsewhere, lost])
    assert found is not None
    assert found.option is good
    assert best([lost]) is None
    assert best([good], memory=0.5) is None


def test_one_seed_ties_below_what_is_printed():
    good, near, far = (
        option(s, work=w, psnrs=(p,)) for s, w, p in (("g", 9, 30), ("n", 5, 29.992), ("f", 1, 29.98))
    )
    found = best([good, near, far])
    assert found is not None
    assert (found.option, found.ties) == (near, 1)


def rows(*cells):
    columns = ("heading", "solver", "seed", "status", "psnr_equilibrium", "hypergradient_error", "step_ms")
    rest = {
        "family": "a",
        "peer": False,
        "psnr": 1.0,
        "applications": 3.0,
        "vjps": 2.0,
        "recorded": 1.0,
        "saved_mib": 4,
    }
    return pd.DataFrame([dict(zip(columns, cell, strict=True)) | rest for cell in cells])


def test_options_are_means_over_seeds_that_all_ended_well():
    frame = rows(
        ("t", "a(1)", 1, "ok", 21.0, 0.3, 8.0),
        ("t", "a(1)", 0, "ok", 20.0, 0.1, 8.0),
        ("t", "a(2)", 0, "ok", 20.0, 0.1, NAN),
        ("t", "a(2)", 1, "diverged", NAN, NAN, NAN),
        ("u", "a(1)", 0, "ok", NAN, NAN, 1.0),
    )
    found = by_heading(options(frame))
    assert {heading: [o.solver for o in each] for heading, each in found.items()} == {
        "t": ["a(1)"],
        "u": ["a(1)"],
    }
    (first,) = found["t"]
    assert first.error == pytest.approx(0.2)
    assert (first.seeds, first.at_equilibrium) == ((0, 1), (20.0, 21.0))
    assert (first.work, first.step_ms, first.saved_mib) == (5.0, 8.0, 4.0)
    assert math.isnan(found["u"][0].error)
    assert math.isnan(found["u"][0].psnr_equilibrium)


def test_an_error_that_one_seed_does_not_know_is_not_known():
    (found,) = options(rows(("t", "a(1)", 0, "ok", 20.0, 0.001, 1.0), ("t", "a(1)", 1, "ok", 20.0, NAN, 1.0)))
    assert math.isnan(found.error)
    assert cheapest([found]) is None


many = st.lists(
    st.builds(
        option,
        solver=st.sampled_from(["a(1)", "b(2)", "c(3)"]),
        error=st.sampled_from([1e-6, 0.005, 0.01, 0.5, NAN]),
        work=st.integers(2, 6),
        ms=st.sampled_from([NAN, 1.0, 2.0]),
        tape=st.sampled_from([0.5, 1.0, 64.0, NAN]),
        psnrs=st.tuples(*2 * [st.floats(20, 22) | st.just(NAN)]),
    ),
    max_size=8,
)
limits = st.sampled_from([0.4, 0.5, 1.0, 10.0, math.inf])
costs = st.sampled_from([WORK, MS])


@given(many, limits, costs)
def test_the_cheapest_is_what_its_definition_says(every, memory, cost):
    allowed = [
        o
        for o in every
        if o.error <= 0.01
        and not math.isnan(getattr(o, cost.name))
        and (memory == math.inf or (not math.isnan(o.saved_mib) and o.saved_mib <= memory))
    ]
    found = cheapest(every, memory=memory, cost=cost)
    assert (found is None) == (not allowed)
    if found is not None:
        assert any(found is o for o in allowed)
        assert getattr(found, cost.name) == min(getattr(o, cost.name) for o in allowed)


@given(many, limits, costs)
def test_the_best_is_what_its_definition_says(every, memory, cost):
    def behind(o, top):
        each = [a - b for a, b in zip(top.at_equilibrium, o.at_equilibrium, strict=True)]
        return mean(each) <= max(stdev(each), ALIKE)

    allowed = [o for o in every if not any(map(math.isnan, o.at_equilibrium)) and o.tape <= memory]
    found = best(every, memory=memory, cost=cost)
    assert (found is None) == (not allowed)
    if found is not None:
        assert mean(found.top.at_equilibrium) == max(mean(o.at_equilibrium) for o in allowed)
        tied = [o for o in allowed if o is found.top or behind(o, found.top)]
        assert found.ties == len(tied) - 1
        assert any(found.option is o for o in tied)
        assert found.option.cost(cost) == min(o.cost(cost) for o in tied)


@given(many)
def test_the_stops_let_something_through_and_keep_something_out(every):
    found = stops(every)
    assert found[-1] == math.inf
    assert found == sorted(set(found))
    tapes = [o.saved_mib for o in every if not math.isnan(o.saved_mib)]
    for stop in found[:-1]:
        assert any(tape <= stop for tape in tapes)
        assert any(tape > stop for tape in tapes)


@given(many, costs)
def test_room_makes_nothing_dearer_and_nothing_worse(every, cost):
    answers = [
        (cheapest(every, memory=m, cost=cost), best(every, memory=m)) for m in (0.4, 0.5, 1.0, 64.0, math.inf)
    ]
    prices = [a.cost(cost) if a else math.inf for a, _ in answers]
    tops = [b.top.psnr_equilibrium if b else -math.inf for _, b in answers]
    assert prices == sorted(prices, reverse=True)
    assert tops == sorted(tops)
