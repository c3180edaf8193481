"""Statistics of timings: chance is not called a slowdown, and slowdowns are found."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from bench.analysis.tidy import place
from bench.comparison import (
    Outcome,
)
from bench.comparison.pairing import PairedRecords
from bench.comparison.significance import VarianceEstimate, difference, mean_of, moderated, sharing, within
from bench.comparison.timing import times
from bench.timing.test_step import paired_ratios


def noise_of(records):
    """What a single timing of each cell moves by, and the shape of it: the tails are those of real rounds.

    A paired ratio has one and a half times the variance of a timing. Spreads of a few rounds are drawn together, or
    the cells drawn would be more unlike than the real ones are.
    """
    logs = {r.key: [np.log(r.values[name]) for name in ("ratios", "ratios_of_floor")] for r in records}
    scales = {
        key: math.sqrt(s.variance / 1.5)
        for key, s in moderated({k: within(v) for k, v in logs.items()}).items()
    }
    tails = np.concatenate([(x - x.mean()) / x.std(ddof=1) for v in logs.values() for x in v])
    return scales, tails / tails.std()


def timed_again(rng, record, noise, code=1.0, machine=1.0):
    """A timing of the same cell with real noise, on a machine that drifts from round to round and cell to cell."""
    scales, tails = noise
    rounds = len(record.values["ratios"])
    level = machine * math.exp(0.15 * rng.standard_normal()) * np.median(record.values["floor_seconds"])
    logs = scales[record.key] * (
        rng.choice(tails, 4 * rounds + 2) + np.cumsum(0.3 * rng.standard_normal(4 * rounds + 2))
    )
    first, again = level * np.exp(logs[: 2 * rounds + 1]), level * np.exp(logs[2 * rounds + 1 :])
    floors, steps = list(first[0::2]), list(first[1::2] * np.median(record.values["ratios"]) * code)
    values = {
        "seconds": steps,
        "floor_seconds": floors,
        "ratios": paired_ratios(steps, floors),
        "ratios_of_floor": paired_ratios(list(again[1::2]), list(again[0::2])),
    }
    return replace(record, values=record.values | values)


def study(timings, pairs, code, machine, slow=lambda place: True):
    """So many pairs of runs of 30 cells: the changes of each."""
    rng, noise = np.random.default_rng(5), noise_of(timings)
    for _ in range(pairs):
        chosen = [timings[i] for i in rng.choice(len(timings), 30, replace=False)]
        both = [
            (
                timed_again(rng, r, noise, code if slow(i) else 1.0, machine),
                timed_again(rng, r, noise),
            )
            for i, r in enumerate(chosen)
        ]
        yield times(PairedRecords(tuple(both), (), (), ()), 0.02)


def test_chance_is_called_a_slowdown_in_at_most_one_comparison_of_twenty(timings):
    """And a machine that is 1.7 times slower is told as the machine."""
    found = list(study(timings, 200, code=1.0, machine=1.7))
    worse = [any(change.verdict == Outcome.WORSE for change in changes) for changes, _ in found]
    assert np.mean(worse) <= 0.05
    # Not because nothing is ever found: intervals are no wider than they have to be.
    held = [change for changes, _ in found for change in changes if change.place is not None]
    widths = np.log([change.high / change.low for change in held])
    assert np.median(widths) < 0.08
    # What three rounds do not know of their own spread, they have from the other cells: 0.096 without.
    few = {place(record) for record in timings if len(record.values["ratios"]) == 3}
    assert (
        np.median([width for width, change in zip(widths, held, strict=True) if change.place in few]) < 0.088
    )
    machine = [overall[0].machine for _, overall in found]
    assert np.mean([not m.excludes(1.7) for m in machine]) >= 0.9
    assert all(m.excludes(1.0) for m in machine)
    assert np.mean([not overall[0].code.excludes(1.0) for _, overall in found]) >= 0.9


@pytest.mark.parametrize(("code", "least"), [(1.1, 0.85), (1.15, 0.94)])
def test_a_slowdown_is_found(timings, code, least):
    """Over all cells always; in a cell by itself as often as its rounds and its noise allow."""
    found = list(study(timings, 60, code, machine=1.0))
    assert all(changes[0].verdict == Outcome.WORSE for changes, _ in found)
    cells = [change.verdict == Outcome.WORSE for changes, _ in found for change in changes[1:]]
    assert np.mean(cells) >= least


def test_one_slow_cell_is_told_apart_from_the_others(timings):
    long = [r for r in timings if len(r.values["ratios"]) >= 4]
    found = list(study(long, 60, code=1.15, machine=0.8, slow=lambda i: i == 7))
    assert np.mean([changes[8].verdict == Outcome.WORSE for changes, _ in found]) >= 0.9
    others = [c.verdict == Outcome.WORSE for changes, _ in found for c in (*changes[:8], *changes[9:])]
    assert np.mean(others) <= 0.004


def test_neighbours_that_share_a_floor_make_a_mean_less_sure():
    rng = np.random.default_rng(1)
    for rounds in (3, 5, 9):
        steps, floors = rng.normal(0, 1, (20_000, rounds)), rng.normal(0, 1, (20_000, rounds + 1))
        ratios = steps - (floors[:, :-1] + floors[:, 1:]) / 2
        known = ratios.var(axis=1, ddof=1).mean() / rounds
        assert ratios.mean(axis=1).var() / known == pytest.approx(sharing(rounds), rel=0.05)


@pytest.mark.parametrize("prior", [2.0, 8.0, math.inf])
def test_moderated_variances_find_what_cells_have_in_common(prior):
    rng = np.random.default_rng(2)
    true = np.full(3000, 4.0) if math.isinf(prior) else 4.0 * prior / rng.chisquare(prior, 3000)
    drawn = true * rng.chisquare(4, 3000) / 4
    found = moderated({i: VarianceEstimate(float(v), 4.0) for i, v in enumerate(drawn)})
    assert found[0].freedom == pytest.approx(prior + 4, rel=0.15) or (
        math.isinf(prior) and found[0].freedom > 100
    )
    ours = np.array([spread.variance for spread in found.values()])
    error, before = (np.mean((np.log(v) - np.log(true)) ** 2) for v in (ours, drawn))
    assert error < 0.9 * before


def test_intervals_are_those_of_the_textbook():
    from scipy import stats

    rng = np.random.default_rng(3)
    a, b = rng.normal(1, 1, 7), rng.normal(0, 3, 5)
    one, other = within([a]), within([b])
    found = difference(a.mean() - b.mean(), one, 7, other, 5, 0.05)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    mean = mean_of(list(a), 0.01)
    expected = stats.ttest_1samp(a, 0).confidence_interval(0.99)
    assert (mean.low, mean.high) == pytest.approx((expected.low, expected.high), rel=1e-12)
    assert mean_of([1.0], 0.05) is None
    assert within([[1.0], []]) is None
    assert within([[1.0, 3.0], [7.0, 9.0], [5.0]]) == VarianceEstimate(2.0, 2.0)
