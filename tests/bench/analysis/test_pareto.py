"""Fronts and the cheapest of each family, against brute force and by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.cost_at_error import alike, cost_at_error, sections
from bench.analysis.cost_at_error import cost_at_error_markdown as headline_markdown
from bench.analysis.pareto import (
    brief,
    cheapest_rows,
    front,
    frontier_markdown,
    frontier_table,
    points,
    reaching,
)
from bench.measurement.hypergradient import TOLERANCE

NONE = pd.DataFrame(columns=["heading", "solver", "family", "peer", "step", "work", "seconds", "psnr"])


def rows(*cells):
    """Of ``(solver, error, applications, vjps, ms, tape)``; a task of its own may stand in front."""
    found = []
    for cell in cells:
        heading, solver, error, applications, vjps, ms, tape = cell if len(cell) == 7 else ("t", *cell)
        family = solver.split("(")[0]
        found.append(
            {
                "heading": heading,
                "solver": solver,
                "family": family,
                "peer": family.startswith("peer"),
                "status": "ok",
                "hypergradient_error": error,
                "applications": applications,
                "vjps": vjps,
                "step_ms": ms,
                "saved_mib": tape,
            }
        )
    return pd.DataFrame(found)


FRAME = rows(
    ("deq(1)", 0.05, 30, 14, 50.0, 1.0),
    ("deq(2)", 0.0005, 60, 28, 90.0, 1.0),
    ("restarted_jfb(1)", 0.009, 400, 40, 20.0, 8.0),
    ("peer_deq(1)", 0.004, 100, 76, 200.0, 2.0),
    ("jfb(1)", 0.8, 10, 1, 9.0, 0.5),
)

plane = st.lists(
    st.tuples(st.sampled_from([1.0, 2.0, 3.0, 5.0, 8.0]), st.sampled_from([1.0, 0.5, 0.1, 0.02, 0.001])),
    min_size=1,
    max_size=14,
)


@given(plane)
def test_a_front_is_what_no_other_point_beats(cells):
    part = pd.DataFrame(cells, columns=["work", "error"])
    found = {(row.work, row.error) for row in front(part, "work").itertuples()}
    unbeaten = {
        (c, e)
        for c, e in cells
        if not any(other != (c, e) and other[0] <= c and other[1] <= e for other in cells)
    }
    assert found == unbeaten
    assert front(part, "work")["work"].is_monotonic_increasing
    assert len(front(part, "work")) == len(unbeaten), "a point stands on a front once"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 9)), max_size=14))
def test_the_cheapest_of_each_family(cells):
    part = pd.DataFrame(cells, columns=["family", "work"]).astype({"work": float})
    found = cheapest_rows(part, "work")
    least = {f: min(w for g, w in cells if g == f) for f, _ in cells}
    assert dict(zip(found["family"], found["work"], strict=True)) == least
    assert list(found["work"]) == sorted(found["work"])
    assert list(found["ratio"]) == [w / min(least.values()) for w in found["work"]]


def test_of_equal_tapes_the_least_work_is_taken():
    part = pd.DataFrame({"family": ["a", "a"], "saved_mib": [1.0, 1.0], "work": [9.0, 4.0]})
    assert list(cheapest_rows(part, "saved_mib")["work"]) == [4.0]


def test_what_was_not_measured_is_on_no_front():
    part = pd.DataFrame(
        {"step_ms": [math.nan, 2.0], "error": [0.1, 0.5], "work": [1.0, 1.0], "family": ["a", "b"]}
    )
    assert list(front(part, "step_ms")["error"]) == [0.5]
    assert list(cheapest_rows(part, "step_ms")["family"]) == ["b"]


def test_it_reads_as_one_says_it():
    """To 1 %: deq(2), 88 products; peer_deq(1) 2 ×, restarted_jfb(1) 5 ×; never jfb."""
    found = frontier_table(FRAME, NONE)
    part = found[(found["goal"] == "0.01") & (found["cost"] == "applications + VJPs")]
    assert list(part["solver"]) == ["deq(2)", "peer_deq(1)", "restarted_jfb(1)", ""]
    assert list(part["value"])[:3] == [88, 176, 440]
    assert list(part["ratio"])[:3] == [1, 2, 5]
    assert list(part["family"])[-1] == "jfb"
    assert list(part["peer"]) == [False, True, False, False]
    # In seconds another one is the cheapest, and with 10 % to spare a rougher one.
    assert found[(found["goal"] == "0.01") & (found["unit"] == "ms")]["solver"].iloc[0] == "restarted_jfb(1)"
    assert found[(found["goal"] == "0.1") & (found["unit"] == "products")]["solver"].iloc[0] == "deq(1)"
    lines = [
        line for line in frontier_markdown(found).splitlines() if line.startswith("| applications + VJPs")
    ]
    words = [[word.strip() for word in line.strip("|").split("|")][1:] for line in lines]
    assert [word[0] for word in words] == ["deq", "peer_deq", "restarted_jfb", "jfb"]
    assert [word[2] for word in words] == [
        "**88 products, 1 ×: 2**",
        "176 products, 2 ×: 1",
        "440 products, 5 ×: 1",
        "—",
    ]


def test_many_arguments_are_cut_short():
    assert brief("implicit(anderson(5e-05), gmres(0.002))") == "anderson(5e-05), gmres(0.002)"
    assert brief("deepinv_anderson(20, 5, history=5, regularisation=1e-12, thres=1e-12)") == "20, 5, …"


def test_a_level_that_nobody_reaches():
    found = frontier_table(FRAME[FRAME["family"] != "deq"], NONE)
    part = found[(found["goal"] == "0.001") & (found["unit"] == "products")]
    assert part["value"].isna().all()
    assert sorted(part["family"]) == ["jfb", "peer_deq", "restarted_jfb"]
    assert "| —" in frontier_markdown(found)


def test_two_solvers_make_no_front_and_a_failed_one_does_not_count():
    assert len(points(FRAME)) == 5
    assert points(FRAME.head(2)).empty
    failed = FRAME.head(3).copy()
    failed.loc[0, "status"] = "nan"
    assert points(failed).empty
    unknown = FRAME.head(3).copy()
    unknown.loc[0, "hypergradient_error"] = math.nan
    assert points(unknown).empty
    assert frontier_table(FRAME.head(2), NONE).empty


@pytest.mark.misuse(
    "a gradient is within 1 % on the mean of the seeds only", "right: the worst seed and draw decide"
)
def test_points_have_the_worst_of_seeds_and_draws_and_are_no_better_than_the_reference():
    threefold = FRAME.assign(hypergradient_error=FRAME["hypergradient_error"] * 3)
    found = points(pd.concat([FRAME, threefold]))
    assert list(found["error"]) == pytest.approx([3 * e for e in FRAME["hypergradient_error"]])
    assert list(found["least"]) == pytest.approx(list(FRAME["hypergradient_error"]))
    drawn = FRAME.assign(hypergradient_error_worst=FRAME["hypergradient_error"] * 2)
    assert list(points(drawn)["error"]) == pytest.approx([2 * e for e in FRAME["hypergradient_error"]])
    assert (points(FRAME.assign(hypergradient_error=1e-14))["error"] == TOLERANCE).all()
    assert (points(FRAME.assign(hypergradient_error=1e-14, oracle_error=3e-9))["error"] == 3e-9).all()


@pytest.mark.misuse(
    "a solver fails on a seed of two", "right: it is on no front and in no list of the cheapest"
)
def test_a_solver_that_misses_a_seed_is_on_no_front():
    other = FRAME.assign(seed=1)
    other.loc[0, "status"] = "nan"
    found = points(pd.concat([FRAME.assign(seed=0), other]))
    assert "deq(1)" not in set(found["solver"])
    assert len(found) == 4
    found = points(pd.concat([FRAME.assign(seed=0), FRAME.assign(seed=1).iloc[1:]]))
    assert "deq(1)" not in set(found["solver"])


def test_the_headline_has_one_setting_a_family_for_all_tasks():
    """Tuned on t, where peer_deq(1) and deq(2) are within 1 %; on u nothing is tuned again."""
    other = FRAME.assign(heading="u", hypergradient_error=[0.001, 0.5, 0.02, 0.3, 0.9])
    both = pd.concat([FRAME, other]).assign(contraction=0.98, operator="forward_backward")
    assert alike(both) == [["t", "u"]]
    found = cost_at_error(both, "t")
    assert list(found["solver"].unique()) == ["deq(2)", "peer_deq(1)", "restarted_jfb(1)"]
    lines = headline_markdown(both, "t", ["t", "u"]).splitlines()
    assert lines[2] == "| `deq(2)` | 88, 90, 1 (0.05 %) | 88, 90, 1 (50 %) |"
    assert lines[3].endswith("| 176, 200, 2 (30 %) |"), "the same rule for a peer"
    assert "deq(1)" in headline_markdown(both, "u", ["t", "u"]), "tuned on u it is another"
    text = sections(both)
    assert text.count("## Tuned on") == 2
    assert sections(FRAME) == ""


def test_tasks_do_not_mix():
    other = FRAME.assign(heading="u", applications=FRAME["applications"] / 2)
    found = frontier_table(pd.concat([FRAME, other]), NONE)
    for heading, work in (("t", 88), ("u", 58)):
        part = found[(found["heading"] == heading) & (found["goal"] == "0.01")]
        assert part["value"].iloc[0] == work


def looks(solver, *seen, seed=0):
    """Of ``(step, work, seconds, psnr)``."""
    return [
        {
            "heading": "t",
            "solver": solver,
            "family": solver.split("(")[0],
            "peer": False,
            "seed": seed,
            "step": step,
            "work": work,
            "seconds": seconds,
            "psnr": psnr,
        }
        for step, work, seconds, psnr in seen
    ]


def test_the_cheapest_way_to_the_best_psnr():
    looked = pd.DataFrame(
        [
            *looks("a(1)", (1, 10, 1.0, 20.0), (2, 20, 2.0, 29.95), (3, 30, 3.0, 29.85)),
            *looks("b(1)", (1, 100, 0.5, 29.89), (2, 200, 1.0, 29.92), (3, 300, 1.5, 30.0)),
            *looks("c(1)", (1, 1, 0.1, 25.0), (2, 2, 0.2, 29.0), (3, 3, 0.3, 29.8)),
        ]
    )
    found = reaching(looked)
    assert [(r.solver, r.step, r.work) for r in found.itertuples()] == [("a(1)", 2, 20), ("b(1)", 2, 200)]
    assert (found["best"] == 30.0).all()
    rows_of = frontier_table(FRAME.head(0), looked)
    assert list(rows_of["goal"].unique()) == ["psnr"]
    work = rows_of[rows_of["unit"] == "products"]
    assert [(r.family, r.solver) for r in work.itertuples()] == [("a", "a(1)"), ("b", "b(1)"), ("c", "")]
    seconds = rows_of[rows_of["unit"] == "s"]
    assert (seconds["solver"].iloc[0], seconds["value"].iloc[0], seconds["ratio"].iloc[1]) == (
        "b(1)",
        1.0,
        2.0,
    )
    assert "best PSNR − 0.1 dB" in frontier_markdown(rows_of)


def test_the_psnr_that_counts_is_the_mean_over_seeds():
    looked = pd.DataFrame(
        [
            *looks("a(1)", (1, 10, 1.0, 30.0), (2, 20, 2.0, 30.0)),
            *looks("a(1)", (1, 10, 1.0, 20.0), (2, 20, 2.0, 30.0), seed=1),
        ]
    )
    assert list(reaching(looked)["step"]) == [2]
