"""Which estimator, which depth? Small tables whose answers are plain, and any table against its definition."""

from __future__ import annotations

import math
from statistics import mean, stdev

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.pareto import COSTS
from bench.analysis.recommendation import (
    LOSS_ALIKE,
    WORK,
    Candidate,
    best,
    candidates,
    cheapest_setting,
    stops,
)

NAN = math.nan
MS = COSTS[1]


def option(
    solver="a(1)",
    error=0.001,
    work=10,
    ms=NAN,
    tape=1.0,
    losses=(1.0, 2.0),
    images=(),
    psnrs=None,
    seeds=None,
    stays=True,
):
    """Two seeds as it comes; ``images`` are the PSNRs of the validation images of each seed."""
    seeds = tuple(range(len(losses))) if seeds is None else seeds
    psnrs = (20.0,) * len(losses) if psnrs is None else psnrs
    images = images or ((),) * len(losses)
    return Candidate(
        solver=solver,
        family=solver[0],
        seeds=seeds,
        error=error,
        error_least=error,
        applications=work - 1,
        vjps=1,
        step_ms=ms,
        saved_mib=tape,
        psnr=20.0,
        at_equilibrium=psnrs,
        loss=losses,
        validation=images,
        stays=stays,
        residual=1e-6,
        far=NAN,
    )


def test_the_cheapest_is_within_the_error_and_the_memory():
    rough = option("rough(1)", error=0.02, work=1)
    large = option("large(1)", work=5, tape=100)
    small = option("small(1)", work=9, tape=2)
    every = [rough, large, small]
    assert cheapest_setting(every) is large
    assert cheapest_setting(every, memory=50) is small
    assert cheapest_setting(every, within=0.1) is rough
    assert cheapest_setting(every, within=0.02) is rough  # a limit is kept by what lies on it
    assert cheapest_setting(every, memory=2) is small
    assert cheapest_setting(every, memory=1.9, within=0.01) is None
    assert cheapest_setting([], within=1) is None


def test_of_equal_costs_the_smaller_tape_is_taken():
    first, second = option("a(1)", tape=3), option("b(1)", tape=2)
    assert cheapest_setting([first, second]) is second
    assert cheapest_setting([second, first]) is second
    again = option("c(1)", tape=2)
    assert cheapest_setting([again, second]) is again  # then the first


def test_what_was_not_measured_is_no_answer():
    untimed, timed = option("a(1)", work=1), option("b(1)", work=9, ms=5.0)
    assert cheapest_setting([untimed, timed], cost=MS) is timed
    assert cheapest_setting([untimed], cost=MS) is None
    assert cheapest_setting([option(error=NAN)]) is None
    unknown = option(tape=NAN)
    assert cheapest_setting([unknown]) is unknown
    assert cheapest_setting([unknown], memory=1e9) is None


def chosen(every, **further):
    found = best(every, **further)
    assert found is not None
    return found.option, found.top, found.ties


def test_a_tie_goes_to_the_cheaper_one():
    good = option("good(1)", work=100, losses=(1.0, 2.0))
    alike = option("alike(1)", work=50, losses=(1.004, 2.01))
    mixed = option(
        "mixed(1)", work=10, losses=(1.1, 1.99)
    )  # 4.75 % above, of which the seeds disagree by 7 %
    worse = option("worse(1)", work=1, losses=(1.05, 2.1))  # 5 % above, on each seed
    assert chosen([good, alike, mixed, worse]) == (mixed, good, 2)
    assert chosen([good, alike, worse]) == (alike, good, 1)
    assert chosen([good, worse]) == (good, good, 0)


def test_seeds_that_agree_on_a_difference_are_no_tie_however_they_differ_in_its_size():
    good = option("good(1)", work=100, losses=(1.0, 1.0))
    behind = option("behind(1)", work=1, losses=(1.02, 1.4))  # 21 % above, and the seeds differ by 27 %
    assert chosen([good, behind]) == (good, good, 0)


def test_the_test_images_choose_nothing():
    good = option("good(1)", losses=(1.0, 2.0), psnrs=(20.0, 20.0))
    lucky = option("lucky(1)", work=1, losses=(1.5, 3.0), psnrs=(29.0, 29.0))
    assert chosen([good, lucky]) == (good, good, 0)


def test_an_equilibrium_that_plain_iteration_leaves_is_none():
    stays = option("stays(1)", work=100, losses=(1.0, 2.0))
    leaves = option("leaves(1)", work=1, losses=(0.5, 1.0), stays=False)
    assert chosen([stays, leaves]) == (stays, stays, 0)
    assert best([leaves]) is None


def test_validation_images_part_what_ties_where_they_can():
    good = option("good(1)", work=100, losses=(1.0, 2.0), images=((30.0, 25.0), (28.0, 20.0)))
    cheap = option("cheap(1)", work=1, losses=(1.001, 2.0), images=((29.5, 24.6), (27.6, 19.5)))
    assert chosen([good, cheap]) == (good, good, 0)  # lower on each image, by about as much
    noisy = option("noisy(1)", work=1, losses=(1.001, 2.0), images=((29.0, 25.9), (27.0, 20.8)))
    found = best([good, noisy])
    assert found is not None
    assert (found.option, found.ties, found.images) == (noisy, 1, 4)
    one = option("one(1)", work=1, losses=(1.0,), images=((20.0,),))
    other = option("other(1)", work=9, losses=(1.0,), images=((29.0,),))
    assert chosen([one, other])[0] is one, "one image shows no difference"


def test_who_validates_better_with_a_higher_loss_is_told():
    fits = option("fits(1)", losses=(1.0, 2.0), images=((25.0, 24.0), (23.0, 22.0)))
    generalises = option("general(1)", losses=(2.0, 4.0), images=((28.0, 27.1), (26.0, 25.0)))
    found = best([fits, generalises])
    assert found is not None
    assert (found.option, found.higher) == (fits, generalises)


def test_lost_equilibria_and_losses_that_were_not_recorded_do_not_count():
    good = option("good(1)", work=100)
    lost = option("lost(1)", work=1, losses=(0.1, 0.1), psnrs=(99.0, NAN))
    old = option("old(1)", work=1, losses=(NAN, NAN))
    assert chosen([good, lost, old]) == (good, good, 0)
    assert best([lost]) is None
    assert best([old]) is None
    assert best([good], memory=0.5) is None


def test_one_seed_ties_below_a_per_cent():
    good, near, far = (
        option(s, work=w, losses=(loss,)) for s, w, loss in (("g", 9, 1.0), ("n", 5, 1.009), ("f", 1, 1.02))
    )
    assert chosen([good, near, far]) == (near, good, 1)


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
        ("t", "a(3)", 0, "ok", 20.0, 0.1, NAN),  # a seed is missing
        ("u", "a(1)", 0, "ok", NAN, NAN, 1.0),
    )
    found = candidates(frame)
    assert {heading: [o.solver for o in each] for heading, each in found.items()} == {
        "t": ["a(1)"],
        "u": ["a(1)"],
    }
    (first,) = found["t"]
    assert (first.error, first.error_least) == (0.3, 0.1), "the worst seed decides, and not the mean"
    assert (first.seeds, first.at_equilibrium) == ((0, 1), (20.0, 21.0))
    assert (first.work, first.step_ms, first.saved_mib) == (5.0, 8.0, 4.0)
    assert math.isnan(found["u"][0].error)
    assert math.isnan(found["u"][0].psnr_equilibrium)


def test_an_error_that_one_seed_does_not_know_is_not_known():
    cells = ("t", "a(1)", 0, "ok", 20.0, 0.001, 1.0), ("t", "a(1)", 1, "ok", 20.0, NAN, 1.0)
    (found,) = candidates(rows(*cells))["t"]
    assert math.isnan(found.error)
    assert cheapest_setting([found]) is None


def test_within_one_per_cent_is_said_of_every_seed_and_draw():
    """Audit 21: 0.1 and 1.8 % have a mean below 1 %; so do draws whose largest is above it."""
    frame = rows(("t", "a(1)", 0, "ok", 20.0, 0.001, 1.0), ("t", "a(1)", 1, "ok", 20.0, 0.018, 1.0))
    assert cheapest_setting(candidates(frame)["t"]) is None
    assert cheapest_setting(candidates(frame)["t"], within=0.018) is not None
    drawn = frame.assign(hypergradient_error=0.005, hypergradient_error_worst=[0.006, 0.02])
    assert cheapest_setting(candidates(drawn)["t"]) is None
    assert cheapest_setting(candidates(drawn.assign(hypergradient_error_worst=0.01))["t"]) is not None


@pytest.mark.parametrize(
    ("told", "stays"),
    [
        ({"equilibrium_stays": 1.0, "psnr_10": -math.inf}, True),
        ({"equilibrium_stays": 0.0}, False),
        ({"contraction": 0.9}, True),
        ({"contraction": 1.5, "psnr_10": 20.05}, True),
        ({"contraction": 1.5, "psnr_10": 20.0, "psnr_100": -math.inf}, False),
        ({"contraction": 1.5}, False),
    ],
)
def test_plain_iteration_stays_if_the_record_says_so_or_was_seen_to(told, stays):
    (found,) = candidates(rows(("t", "a(1)", 0, "ok", 20.0, 0.001, 1.0)).assign(**told))["t"]
    assert found.stays == stays


many = st.lists(
    st.builds(
        option,
        solver=st.sampled_from(["a(1)", "b(2)", "c(3)"]),
        error=st.sampled_from([1e-6, 0.005, 0.01, 0.5, NAN]),
        work=st.integers(2, 6),
        ms=st.sampled_from([NAN, 1.0, 2.0]),
        tape=st.sampled_from([0.5, 1.0, 64.0, NAN]),
        losses=st.tuples(*2 * [st.floats(1, 1.1) | st.just(NAN)]),
        stays=st.booleans(),
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
    found = cheapest_setting(every, memory=memory, cost=cost)
    assert (found is None) == (not allowed)
    if found is not None:
        assert any(found is o for o in allowed)
        assert getattr(found, cost.name) == min(getattr(o, cost.name) for o in allowed)


@given(many, limits, costs)
def test_the_best_is_what_its_definition_says(every, memory, cost):
    def above(o, top):
        each = [(a - b) / b for a, b in zip(o.loss, top.loss, strict=True)]
        return mean(each) <= max(stdev(each), LOSS_ALIKE) and min(each) <= LOSS_ALIKE

    allowed = [o for o in every if not any(map(math.isnan, o.loss)) and o.stays and o.tape <= memory]
    found = best(every, memory=memory, cost=cost)
    assert (found is None) == (not allowed)
    if found is not None:
        assert mean(found.top.loss) == min(mean(o.loss) for o in allowed)
        tied = [o for o in allowed if o is found.top or above(o, found.top)]
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
        (cheapest_setting(every, memory=m, cost=cost), best(every, memory=m))
        for m in (0.4, 0.5, 1.0, 64.0, math.inf)
    ]
    prices = [a.cost(cost) if a else math.inf for a, _ in answers]
    tops = [b.top.training_loss if b else math.inf for _, b in answers]
    assert prices == sorted(prices, reverse=True)
    assert tops == sorted(tops, reverse=True)
