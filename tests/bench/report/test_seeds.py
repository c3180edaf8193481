"""Means over seeds, and seeds that are missing."""

from __future__ import annotations

import math

import pytest

from bench.analysis.metric import Table
from bench.report.summary import printable, summarise
from bench.report.tables import render_tables
from tests.helpers.records import seeds


@pytest.mark.misuse("a seed of two finds no equilibrium", "right: its mean says 1 of 2, and is never in bold")
def test_a_mean_says_how_many_seeds_it_is_of_and_is_not_the_best():
    """Audit 12: who loses the worse seed has the higher mean."""
    frame = seeds(
        ("a(1)", 0, 30.0, 1.0), ("a(1)", 1, math.nan, 1.0), ("b(1)", 0, 29.0, 1.0), ("b(1)", 1, 19.0, 1.0)
    )
    text, best = printable(summarise(frame), "t")
    assert list(text["PSNR at eq. (dB)"]) == ["30.00 (1 of 2)", "24.00 ± 7.07"]
    assert list(best["PSNR at eq. (dB)"]) == [False, True]


@pytest.mark.misuse(
    "a solver ran on fewer seeds than the others", "right: its means say on how many, and are never in bold"
)
def test_a_seed_that_was_not_run_is_missing_too():
    frame = seeds(("a(1)", 0, 30.0, 1.0), ("b(1)", 0, 29.0, 1.0), ("b(1)", 1, 19.0, 1.0))
    text, best = printable(summarise(frame), "t")
    assert list(text["PSNR at eq. (dB)"]) == ["30.00 (1 of 2)", "24.00 ± 7.07"]
    assert not best["PSNR at eq. (dB)"].iloc[0]


def test_one_of_two_seeds_that_diverges_is_told():
    frame = seeds(
        ("a(1)", 0, 30.0, -math.inf),
        ("a(1)", 1, 30.0, 25.0),
        ("b(1)", 0, 30.0, -math.inf),
        ("b(1)", 1, 30.0, -math.inf),
    )
    text, _ = printable(summarise(frame), "t", Table.DEPTH)
    assert list(text["at 10 ×"]) == ["diverged on 1 of 2", "diverged"]


def test_what_ties_with_the_best_seed_by_seed_is_marked_too():
    frame = seeds(
        *(("a(1)", s, 30.0 + s, 1.0) for s in (0, 1)),
        *(
            ("tie(1)", s, 30.5 - s, 1.0) for s in (0, 1)
        ),  # behind by 0.5 dB, of which the seeds disagree by 1.4
        *(("behind(1)", s, 29.9 + s, 1.0) for s in (0, 1)),  # by 0.1 dB on each
    )
    _, best = printable(summarise(frame), "t")
    assert list(best["PSNR at eq. (dB)"]) == [True, True, False]
    _, best = printable(summarise(frame[frame["seed"] == 0]), "t")
    assert not best["PSNR at eq. (dB)"].any(), "one seed shows no difference"


def test_an_error_is_told_with_its_range_and_ranked_by_the_largest(frame):
    drawn = seeds(("a(1)", 0, 1.0, 1.0), ("b(1)", 0, 1.0, 1.0)).assign(
        hypergradient_error=[0.005, 0.006],
        hypergradient_error_worst=[0.02, 0.007],
        hypergradient_error_least=0.004,
    )
    text, best = printable(summarise(drawn), "t")
    assert list(text["gradient error"]) == ["5.0e-03 (4.0e-03 to 2.0e-02)", "6.0e-03 (4.0e-03 to 7.0e-03)"]
    assert list(best["gradient error"]) == [False, True]


@pytest.mark.misuse(
    "errors lie below what is known of the reference", "right: told as below that, and not ranked"
)
def test_the_reference_says_how_good_it_is():
    drawn = seeds(("a(1)", 0, 1.0, 1.0), ("b(1)", 0, 1.0, 1.0)).assign(hypergradient_error=[1e-9, 2e-9])
    drawn = drawn.assign(
        psnr_measurement=math.nan, reason="", family="a", peer=False, operator="forward_backward"
    )
    text = render_tables(drawn, summarise(drawn))["tables/tables.md"]
    assert "residuals are known, below 1e-10, and not its error" in text
    drawn = drawn.assign(oracle_error=3e-9, oracle_basis="estimate")
    text = render_tables(drawn, summarise(drawn))["tables/tables.md"]
    assert "The reference gradient is itself within 3.0e-09, by an estimate." in text
    assert text.count("< 3e-09") == 2


def test_a_gradient_that_diverged_on_one_draw_says_so():
    drawn = seeds(("a(1)", 0, 1.0, 1.0), ("b(1)", 0, 1.0, 1.0)).assign(
        hypergradient_error=[math.inf, 0.1],
        hypergradient_error_worst=[math.inf, 0.1],
        hypergradient_error_least=0.1,
    )
    text, best = printable(summarise(drawn), "t")
    assert list(text["gradient error"]) == ["diverged on a draw", "1.0e-01"]
    assert list(best["gradient error"]) == [False, True]
