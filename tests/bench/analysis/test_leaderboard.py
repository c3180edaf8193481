"""The ranking across tasks, on runs whose answer is plain."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.leaderboard import Entry, leaderboard, places_of

NAN = math.nan


def cell(heading, solver, seed=0, error=0.001, products=10, status="ok", stays=1.0):
    row = {"heading": heading, "solver": solver, "seed": seed, "hypergradient_error": error, "status": status}
    measured = {"applications": products, "vjps": 0, "step_ms": 1.0, "saved_mib": 2.0}
    return row | measured | {"equilibrium_stays": stays}


def board(*cells):
    return leaderboard(pd.DataFrame(cells))


def ranks(*cells):
    return {row.solver: row.rank for row in board(*cells)}


def test_the_mean_place_over_the_tasks_decides():
    cells = [cell("t", "a", products=10), cell("t", "b", products=20), cell("t", "c", products=30)]
    cells += [cell("u", "a", products=30), cell("u", "b", products=10), cell("u", "c", products=20)]
    rows = board(*cells)
    assert [(row.solver, row.score, row.rank) for row in rows] == [("b", 1.5, 1), ("a", 2, 2), ("c", 2.5, 3)]
    assert rows[0].places == {"t": 2, "u": 1}
    assert (rows[0].products, rows[0].ms, rows[0].mib, rows[0].exact) == (15, 1, 2, 2)


def test_products_that_differ_by_less_than_their_spread_share_a_place():
    noisy = [cell("t", "a", 0, products=9), cell("t", "a", 1, products=13)]
    near = [cell("t", "b", seed, products=12) for seed in (0, 1)]
    far = [cell("t", "c", seed, products=15) for seed in (0, 1)]
    assert ranks(*noisy, *near, *far) == {"a": 1, "b": 1, "c": 3}
    quiet = [cell("t", "a", seed, products=11) for seed in (0, 1)]
    assert ranks(*quiet, *near, *far) == {"a": 1, "b": 2, "c": 3}


def test_a_solver_that_diverged_shares_the_last_place_and_is_not_stable():
    rows = board(
        cell("t", "a"), cell("t", "b", error=NAN, status="diverged"), cell("t", "c", error=0.5, products=1)
    )
    assert [(row.solver, row.rank, row.stays) for row in rows] == [
        ("a", 1, True),
        ("c", 2, True),
        ("b", 2, False),
    ]
    assert rows[2].error == math.inf
    assert rows[2].exact == 0


def test_a_missing_seed_is_as_bad_as_an_error():
    assert ranks(cell("t", "a", 0), cell("t", "b", 0), cell("t", "b", 1)) == {"b": 1, "a": 2}


def test_a_task_without_a_reference_is_not_ranked():
    rows = board(
        cell("t", "a"), cell("t", "b", products=20), cell("u", "a", error=NAN), cell("u", "b", error=NAN)
    )
    assert [row.places for row in rows] == [{"t": 1}, {"t": 2}]
    assert board(cell("u", "a", error=NAN)) == []


def test_a_solver_on_few_tasks_has_no_rank():
    everywhere = [cell(task, "a", products=20) for task in "tuv"]
    rows = board(*everywhere, cell("t", "b", products=1))
    assert [(row.solver, row.rank) for row in rows] == [("a", 1), ("b", None)]


def test_an_operator_that_leaves_its_equilibrium_is_not_stable():
    (row,) = board(cell("t", "a", stays=0.0), cell("u", "a"))
    assert (row.stays, row.exact) == (False, 1)
    assert ranks(cell("t", "a", stays=0.0), cell("t", "b", products=99)) == {"b": 1, "a": 2}
    assert [row.stays for row in board(cell("t", "a", stays=NAN))] == [None]


@given(st.lists(st.tuples(st.floats(0, 0.02), st.integers(1, 20), st.floats(0, 3)), min_size=1, max_size=8))
def test_places_of_any_task(found):
    given_entries = {
        str(i): Entry(error, n, spread, NAN, NAN, None) for i, (error, n, spread) in enumerate(found)
    }
    places = places_of(given_entries, 0.01)
    assert places.keys() == given_entries.keys()
    exact = [name for name, entry in given_entries.items() if entry.error <= 0.01]
    assert all(places[name] == len(exact) + 1 for name in given_entries if name not in exact)
    for a in exact:
        assert 1 <= places[a] <= len(exact)
        for b in exact:
            if given_entries[a].products < given_entries[b].products:
                assert places[a] <= places[b]
            if given_entries[a].products == given_entries[b].products:
                assert places[a] == places[b]


@pytest.mark.parametrize("within", [0.1, 0.001])
def test_the_limit_is_that_of_the_caller(within):
    rows = leaderboard(pd.DataFrame([cell("t", "a", error=0.05), cell("t", "b", products=20)]), within)
    assert [row.solver for row in rows] == (["a", "b"] if within == 0.1 else ["b", "a"])
