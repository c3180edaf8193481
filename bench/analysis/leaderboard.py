"""One ranking of the solvers of a run, across its tasks."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import mean

import pandas as pd

from .over_seeds import column, largest_over_seeds

WITHIN = 0.01
"""Relative error of the gradient up to which a solver is ranked by its cost."""
RULE = (
    "A solver's score is its mean place over the tasks that it was measured on: by products of a training step among "
    "the solvers whose gradient is within {:g} % of the exact one on every seed and whose learned operator stays at "
    "its equilibrium, with one place for products that differ by no more than the spread over seeds, and the last "
    "place of the task for all others."
)
"""For ``format`` with the limit in per cent."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A solver on one task.

    Attributes:
        error: of its gradient, relative, the largest over seeds and draws; infinite if a seed failed.
        products: applications + vector–Jacobian products of a training step, the mean over seeds.
        spread: standard deviation of ``products`` over seeds; 0 for one seed.
        ms, mib: time and tape of a training step; NaN if not measured.
        stays: whether plain iteration of the learned operator stays at its equilibrium; ``None`` if not measured.
    """

    error: float
    products: float
    spread: float
    ms: float
    mib: float
    stays: bool | None

    def qualifies(self, within: float) -> bool:
        """Whether it is ranked by its products: exact enough, and not known to leave its equilibrium."""
        return self.error <= within and self.stays is not False and math.isfinite(self.products)


@dataclass(frozen=True, slots=True)
class Standing:
    """A row of the leaderboard: means over the tasks of ``places``.

    Attributes:
        rank: 1 for the lowest score; equal scores share a rank. ``None`` for a solver that was measured on fewer than
            half of the ranked tasks.
        solver: its label.
        score: the mean of ``places``.
        places: place by task.
        exact: number of tasks on which it qualifies.
        error: the largest over the tasks; infinite if one has none.
        products, ms, mib: of a training step; NaN if a task has no value.
        stays: false if the learned operator left its equilibrium on some task; ``None`` if that is not known of any.
    """

    rank: int | None
    solver: str
    score: float
    places: Mapping[str, int]
    exact: int
    error: float
    products: float
    ms: float
    mib: float
    stays: bool | None


def leaderboard(frame: pd.DataFrame, within: float = WITHIN) -> list[Standing]:
    """The solvers of a run by ``RULE``, the best first; those without a rank last.

    A task on which no solver has a gradient error has no reference gradient, and is not ranked.

    Args:
        frame: of ``tidy.tidy``.
        within: limit on the relative error of the gradient.
    """
    tasks = {heading: found for heading, found in entries(frame).items() if _ranked(found)}
    places = {heading: places_of(found, within) for heading, found in tasks.items()}
    solvers = dict.fromkeys(solver for found in tasks.values() for solver in found)
    rows = [_standing(solver, tasks, places, within) for solver in solvers]
    ranked = [row for row in rows if 2 * len(row.places) >= len(tasks)]
    others = [row for row in rows if row not in ranked]
    scores = [row.score for row in ranked]
    ranked = [replace(row, rank=1 + sum(score < row.score - 1e-9 for score in scores)) for row in ranked]
    return [*sorted(ranked, key=_order), *sorted(others, key=_order)]


def _order(row: Standing) -> tuple[float, float]:
    return row.score, math.inf if math.isnan(row.products) else row.products


def _ranked(found: Mapping[str, Entry]) -> bool:
    return any(math.isfinite(entry.error) for entry in found.values())


def entries(frame: pd.DataFrame) -> dict[str, dict[str, Entry]]:
    """By heading and solver what the leaderboard reads from the rows of ``tidy.tidy``."""
    found: dict[str, dict[str, Entry]] = {}
    for heading, of_task in frame.groupby("heading", sort=False):
        seeds = set(of_task["seed"])
        for solver, rows in of_task.groupby("solver", sort=False):
            complete = bool((rows["status"] == "ok").all()) and set(rows["seed"]) == seeds
            found.setdefault(str(heading), {})[str(solver)] = _entry(rows, complete)
    return found


def _entry(rows: pd.DataFrame, complete: bool) -> Entry:
    products = column(rows, "applications") + column(rows, "vjps")
    error = largest_over_seeds(rows) if complete else math.inf
    stays = column(rows, "equilibrium_stays").dropna()
    diverged = bool((rows["status"] == "diverged").any())
    return Entry(
        error=error,
        products=float(products.mean(skipna=False)),
        spread=float(products.std()) if len(products) > 1 else 0.0,
        ms=float(column(rows, "step_ms").mean(skipna=False)),
        mib=float(column(rows, "saved_mib").mean(skipna=False)),
        stays=False if diverged else (bool(stays.all()) if len(stays) else None),
    )


def places_of(found: Mapping[str, Entry], within: float) -> dict[str, int]:
    """Place of each solver on a task, from 1.

    Going up in products, a solver shares the place of the first of its group as long as it costs no more than that one
    plus that one's spread. All solvers that do not qualify share the place after those that do.
    """
    exact = {solver: entry for solver, entry in found.items() if entry.qualifies(within)}
    order = sorted(exact, key=lambda solver: (exact[solver].products, -exact[solver].spread))
    places: dict[str, int] = {}
    place, limit = 0, -math.inf
    for count, solver in enumerate(order, start=1):
        if exact[solver].products > limit:
            place, limit = count, exact[solver].products + exact[solver].spread
        places[solver] = place
    return places | {solver: len(exact) + 1 for solver in found if solver not in exact}


def _standing(
    solver: str,
    tasks: Mapping[str, Mapping[str, Entry]],
    places: Mapping[str, Mapping[str, int]],
    within: float,
) -> Standing:
    own = {heading: found[solver] for heading, found in tasks.items() if solver in found}
    of = {heading: places[heading][solver] for heading in own}
    known = [entry.stays for entry in own.values() if entry.stays is not None]
    return Standing(
        rank=None,
        solver=solver,
        score=mean(of.values()),
        places=of,
        exact=sum(entry.qualifies(within) for entry in own.values()),
        error=max(math.inf if math.isnan(entry.error) else entry.error for entry in own.values()),
        products=mean(entry.products for entry in own.values()),
        ms=mean(entry.ms for entry in own.values()),
        mib=mean(entry.mib for entry in own.values()),
        stays=all(known) if known else None,
    )
