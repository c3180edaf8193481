"""What an error of the gradient costs: the fronts, and the cheapest solver of each family to 10, 1 and 0.1 %."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from ..config.call_syntax import arguments
from .over_seeds import known_to, largest, over_all, smallest

LONG = 45
"""Characters of arguments that a table has room for."""


@dataclass(frozen=True, slots=True)
class CostAxis:
    """A column of ``points`` or ``reaching`` that one would rather have small.

    Attributes:
        name: of the column.
        title: on an axis and over a table.
        unit: behind a number.
    """

    name: str
    title: str
    unit: str

    def show(self, value: float) -> str:
        """A value with its unit, to three digits."""
        digits = f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
        return f"{digits} {self.unit}"


COSTS = (
    CostAxis("work", "applications + VJPs", "products"),
    CostAxis("step_ms", "milliseconds of a training step", "ms"),
    CostAxis("saved_mib", "tape (MiB)", "MiB"),
)
"""Of a training step."""
TRAINING = (
    CostAxis("work", "applications + VJPs", "products"),
    CostAxis("seconds", "seconds of training steps", "s"),
)
"""Of a training until it is good enough."""
LEVELS = (0.1, 0.01, 0.001)
"""Relative errors of the gradient that are asked for."""
NEAR = 0.1
"""dB below the best PSNR of a task that count as having got there."""
LEAST = 3
"""Solvers with an error that a task must have before a front says anything."""
WHO = ["heading", "solver", "family", "peer"]


def points(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each task, size and solver with an error, over the seeds of the task; all of them have to end well.

    Args:
        frame: that of ``frame.tidy``.

    Returns:
        Columns ``heading, solver, family, peer``; ``error``, of the hypergradient, relative: the largest over seeds and
        draws, and not below what is known of the reference itself (``seeds.known_to``); ``least``, the smallest of
        them; ``work`` (applications + VJPs), ``step_ms`` and ``saved_mib``, means over the seeds. Tasks with fewer than
        three solvers are left out.
    """
    rows = []
    for heading, part in frame.groupby("heading", sort=False):
        seeds, floor = set(part["seed"]) if "seed" in part else None, known_to(part)
        for (solver, family, peer), group in part.groupby(["solver", "family", "peer"], sort=False):
            error = largest(group)
            if not math.isfinite(error) or not (group["status"] == "ok").all():
                continue
            if seeds is not None and set(group["seed"]) != seeds:
                continue
            row = {"heading": heading, "solver": solver, "family": family, "peer": peer}
            row |= {"error": max(error, floor), "least": max(smallest(group), floor)}
            row["work"] = float((group["applications"] + group["vjps"]).mean(skipna=False))
            rows.append(
                row | {name: float(group[name].mean(skipna=False)) for name in ("step_ms", "saved_mib")}
            )
    found = pd.DataFrame(rows, columns=[*WHO, "error", "least", *(cost.name for cost in COSTS)])
    enough = found.groupby("heading")["solver"].transform("size").ge(LEAST)
    return found[enough].reset_index(drop=True)


def front(part: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The rows that no other row beats: as cheap and more exact, or cheaper and as exact. From cheap to dear."""
    known = part.dropna(subset=[cost]).sort_values([cost, "error"], kind="stable")
    before = known["error"].cummin().shift(fill_value=math.inf)
    return known[known["error"] < before]


def cheapest_rows(part: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The cheapest row of each family, cheap families first, with ``ratio`` to the cheapest of all.

    Of rows that cost the same (many leave the same tape) the one with the least ``work`` is taken.
    """
    known = part.dropna(subset=[cost]).sort_values([cost, "work"], kind="stable")
    known = known.groupby("family", sort=False).head(1)
    return known.assign(ratio=known[cost] / known[cost].min() if len(known) else math.nan)


def reaching(looked: pd.DataFrame) -> pd.DataFrame:
    """For each task and solver, the first look at which its PSNR is within 0.1 dB of the best of the task.

    Args:
        looked: that of ``frame.looks``; PSNR, work and seconds are averaged over all seeds at equal steps.

    Returns:
        Columns ``heading, solver, family, peer``; ``step``, ``psnr``, ``best`` (both in dB), ``work``, ``seconds``.
        A solver that does not get there has no row.
    """
    if looked.empty:
        return pd.DataFrame(columns=[*WHO, "step", "psnr", "work", "known", "seeds", "seconds", "best"])
    means = over_all(looked, [*WHO, "step"], ["psnr", "work"]).dropna(subset=["psnr"])
    seconds = looked.groupby([*WHO, "step"], sort=False)["seconds"].mean().reset_index()
    means = means.merge(seconds, on=[*WHO, "step"], how="left")
    means["best"] = means.groupby("heading")["psnr"].transform("max")
    there = means[means["psnr"] >= means["best"] - NEAR].sort_values("step", kind="stable")
    first = there.groupby(["heading", "solver"], sort=False).head(1)
    return first.sort_index().reset_index(drop=True)


def frontier_table(frame: pd.DataFrame, looked: pd.DataFrame) -> pd.DataFrame:
    """The cheapest solver of each family, for each task, cost and goal.

    Returns:
        Columns ``heading``; ``goal`` (an error, or ``psnr``: 0.1 dB below the best); ``cost`` (the title) and ``unit``;
        ``family, peer, solver``; ``value`` and its ``ratio`` to the cheapest; NaN for a family that does not reach it.
    """
    rows: list[pd.DataFrame] = []
    found = points(frame)
    for heading, part in found.groupby("heading", sort=False):
        for cost in COSTS:
            timed = part.dropna(subset=[cost.name])
            for level in LEVELS:
                rows.append(_goal(timed, timed[timed["error"] <= level], cost, heading, f"{level:.3g}"))
    reached = reaching(looked)
    for heading, part in looked.groupby("heading", sort=False):
        for cost in TRAINING:
            timed = part.dropna(subset=[cost.name])
            there = reached[reached["heading"] == heading]
            rows.append(_goal(timed, there, cost, heading, "psnr"))
    columns = ["heading", "goal", "cost", "unit", "family", "peer", "solver", "value", "ratio"]
    rows = [row for row in rows if len(row)]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def _goal(
    every: pd.DataFrame, there: pd.DataFrame, cost: CostAxis, heading: object, goal: str
) -> pd.DataFrame:
    """The families of ``every``: those that are ``there`` with their cheapest, then the others without."""
    best = cheapest_rows(there, cost.name).rename(columns={cost.name: "value"})
    absent = every[~every["family"].isin(best["family"])].drop_duplicates("family")
    absent = absent[["family", "peer"]].assign(solver="", value=math.nan, ratio=math.nan)
    best = best[["family", "peer", "solver", "value", "ratio"]]
    both = pd.concat([p for p in (best, absent) if len(p)]) if len(best) or len(absent) else best
    return both.assign(heading=heading, goal=goal, cost=cost.title, unit=cost.unit)


def frontier_markdown(found: pd.DataFrame) -> str:
    """``frontier_table`` in Markdown: a table for each task and cost, the cheapest family in bold."""
    shown = {cost.title: cost for cost in (*COSTS, *TRAINING)}
    parts = []
    for heading, part in found.groupby("heading", sort=False):
        parts.append(f"## {heading}\n")
        for titles, group in _alike(part):
            goals = list(group["goal"].unique())
            lines = []
            for title in titles:
                of_cost = group[group["cost"] == title]
                # The goal in the middle decides the order of the families.
                ranked = of_cost[of_cost["goal"] == goals[len(goals) // 2]].sort_values(
                    "value", kind="stable"
                )
                for family in ranked["family"]:
                    cells = of_cost[of_cost["family"] == family].set_index("goal")
                    line = {"in": title, "family": family}
                    lines.append(line | {_goal_title(g): _cell(cells.loc[g], shown[title]) for g in goals})
            parts.append(pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True) + "\n")
    return "\n".join(parts) + _LEGEND


def _alike(part: pd.DataFrame) -> list[tuple[list[str], pd.DataFrame]]:
    """The costs of a task that have the same goals, and their rows."""
    groups = [part[part["goal"] != "psnr"], part[part["goal"] == "psnr"]]
    return [(list(group["cost"].unique()), group) for group in groups if len(group)]


def _goal_title(goal: str) -> str:
    return "to best PSNR − 0.1 dB" if goal == "psnr" else f"to {100 * float(goal):g} %"


def _cell(row: pd.Series, cost: CostAxis) -> str:
    if math.isnan(row["value"]):
        return "—"
    text = f"{cost.show(row['value'])}, {_times(row['ratio'])}: {brief(row['solver'])}"
    return f"**{text}**" if row["ratio"] == 1 else text


def brief(solver: str) -> str:
    """The arguments of a call; of many, the first two (all of them stand in ``pareto.csv``)."""
    words = arguments(solver)
    return words if len(words) <= LONG else ", ".join(words.split(", ")[:2]) + ", …"


def _times(ratio: float) -> str:
    return f"{ratio:.0f} ×" if ratio >= 99.5 else f"{ratio:.3g} ×"


_LEGEND = """
---
For each family of solvers the cheapest whose gradient at the initial parameters is within 10, 1 and 0.1 % of the
certified float64 implicit gradient: what a training step costs, how many times the cheapest of all, and the arguments
of the solver (all of them in `pareto.csv`). In bold the cheapest; — where none of the family that was measured is that
exact. Seconds are medians on the machine of the run: ratios near 1 are ties.
Where a training was looked at: applications + VJPs, and seconds, of the training steps until a solver's own
reconstructions of the test images are within 0.1 dB of the best that any solver got to; looks are not counted.
"""
