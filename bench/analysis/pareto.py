"""What an error of the gradient costs: Pareto fronts, and the cheapest solver of each family to 10, 1 and 0.1 %."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false
from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from ..config.call_syntax import brief
from .metrics import metric_named
from .over_seeds import known_to, largest_over_seeds, over_all, smallest


@dataclass(frozen=True, slots=True)
class CostAxis:
    """A cost: a column of ``points`` or ``reaching``.

    Attributes:
        name: of the column.
        title: on an axis and in a table.
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
    CostAxis("step_ms", "milliseconds of a training step", metric_named("step_ms").unit),
    CostAxis("saved_mib", metric_named("saved_mib").heading(), metric_named("saved_mib").unit),
)
"""Of a training step."""
TRAINING = (
    CostAxis("work", "applications + VJPs", "products"),
    CostAxis("seconds", "seconds of training steps", "s"),
)
"""Of a training until its PSNR is within ``NEAR`` of the best."""
LEVELS = (0.1, 0.01, 0.001)
"""Relative errors of the gradient."""
NEAR = 0.1
"""Distance from the best PSNR of a task, in dB, that counts as reaching it."""
LEAST = 3
"""Solvers with a known error that a task needs to have a front."""
WHO = ["heading", "solver", "family", "peer"]


def points(frame: pd.DataFrame) -> pd.DataFrame:
    """One row per task, size and solver that ended well on every seed of the task and has a finite error.

    Args:
        frame: rows of ``tidy.tidy``.

    Returns:
        Columns ``heading, solver, family, peer``; ``error``, the largest relative error of the gradient over seeds and
        draws, and ``least``, the smallest, neither below the known error of the reference (``over_seeds.known_to``);
        ``work`` (applications + VJPs), ``step_ms`` and ``saved_mib``, means over seeds. Tasks with fewer than
        ``LEAST`` solvers are left out.
    """
    rows = []
    for heading, part in frame.groupby("heading", sort=False):
        seeds, floor = set(part["seed"]) if "seed" in part else None, known_to(part)
        for (solver, family, peer), group in part.groupby(["solver", "family", "peer"], sort=False):
            error = largest_over_seeds(group)
            if not math.isfinite(error) or not (group["status"] == "ok").all():
                continue
            if seeds is not None and set(group["seed"]) != seeds:
                continue
            row = {"heading": heading, "solver": solver, "family": family, "peer": peer}
            row |= {"error": max(error, floor), "least": max(smallest(group), floor)}
            row["work"] = float((group["applications"] + group["vjps"]).mean(skipna=False))
            rows.append(row | {n: float(group[n].mean(skipna=False)) for n in ("step_ms", "saved_mib")})
    table = pd.DataFrame(rows, columns=[*WHO, "error", "least", *(cost.name for cost in COSTS)])
    enough = table.groupby("heading")["solver"].transform("size").ge(LEAST)
    return table[enough].reset_index(drop=True)


def front(part: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The Pareto front of rows of ``points``: no other row is as cheap and as exact. Cheap rows first."""
    ranked = part.dropna(subset=[cost]).sort_values([cost, "error"], kind="stable")
    before = ranked["error"].cummin().shift(fill_value=math.inf)
    return ranked[ranked["error"] < before]


def cheapest_rows(part: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The cheapest row of each family, cheap families first, with its ``ratio`` to the cheapest of all.

    Rows of equal cost (many solvers need the same tape) are ordered by ``work``.
    """
    ranked = part.dropna(subset=[cost]).sort_values([cost, "work"], kind="stable")
    ranked = ranked.groupby("family", sort=False).head(1)
    return ranked.assign(ratio=ranked[cost] / ranked[cost].min() if len(ranked) else math.nan)


def reaching(looked: pd.DataFrame) -> pd.DataFrame:
    """For each task and solver, its first evaluation within ``NEAR`` of the best PSNR of the task.

    Args:
        looked: rows of ``tidy.looks``; PSNR, work and seconds are averaged over all seeds at equal steps.

    Returns:
        Columns ``heading, solver, family, peer``; ``step``, ``psnr``, ``best`` (both in dB), ``work``, ``seconds``.
        A solver that stays below has no row.
    """
    if looked.empty:
        return pd.DataFrame(columns=[*WHO, "step", "psnr", "work", "known", "seeds", "seconds", "best"])
    means = over_all(looked, [*WHO, "step"], ["psnr", "work"]).dropna(subset=["psnr"])
    seconds = looked.groupby([*WHO, "step"], sort=False)["seconds"].mean().reset_index()
    means = means.merge(seconds, on=[*WHO, "step"], how="left")
    means["best"] = means.groupby("heading")["psnr"].transform("max")
    near = means[means["psnr"] >= means["best"] - NEAR].sort_values("step", kind="stable")
    return near.groupby(["heading", "solver"], sort=False).head(1).sort_index().reset_index(drop=True)


def frontier_table(frame: pd.DataFrame, looked: pd.DataFrame) -> pd.DataFrame:
    """The cheapest solver of each family, for each task, cost and goal.

    Returns:
        Columns ``heading``; ``goal`` (an error, or ``psnr``: within ``NEAR`` of the best); ``cost`` (its title) and
        ``unit``; ``family, peer, solver``; ``value`` and its ``ratio`` to the cheapest, NaN if no solver of the family
        reaches the goal.
    """
    parts: list[pd.DataFrame] = []
    for heading, part in points(frame).groupby("heading", sort=False):
        for cost in COSTS:
            timed = part.dropna(subset=[cost.name])
            for level in LEVELS:
                parts.append(_goal(timed, timed[timed["error"] <= level], cost, heading, f"{level:.3g}"))
    reached = reaching(looked)
    for heading, part in looked.groupby("heading", sort=False):
        for cost in TRAINING:
            timed = part.dropna(subset=[cost.name])
            parts.append(_goal(timed, reached[reached["heading"] == heading], cost, heading, "psnr"))
    columns = ["heading", "goal", "cost", "unit", "family", "peer", "solver", "value", "ratio"]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _goal(
    candidates: pd.DataFrame, reached: pd.DataFrame, cost: CostAxis, heading: object, goal: str
) -> pd.DataFrame:
    """Families of ``candidates``: the cheapest solver of those in ``reached``, then the others without a solver."""
    best = cheapest_rows(reached, cost.name).rename(columns={cost.name: "value"})
    absent = candidates[~candidates["family"].isin(best["family"])].drop_duplicates("family")
    absent = absent[["family", "peer"]].assign(solver="", value=math.nan, ratio=math.nan)
    best = best[["family", "peer", "solver", "value", "ratio"]]
    both = pd.concat([p for p in (best, absent) if len(p)]) if len(best) or len(absent) else best
    return both.assign(heading=heading, goal=goal, cost=cost.title, unit=cost.unit)


def frontier_markdown(table: pd.DataFrame) -> str:
    """``frontier_table`` in Markdown: a table for each task and kind of goal, the cheapest family in bold."""
    parts = []
    for heading, part in table.groupby("heading", sort=False):
        parts.append(f"## {heading}\n")
        for group in (part[part["goal"] != "psnr"], part[part["goal"] == "psnr"]):
            if len(group):
                parts.append(_goals_markdown(group))
    return "\n".join(parts) + _LEGEND


def _goals_markdown(group: pd.DataFrame) -> str:
    axes = {cost.title: cost for cost in (*COSTS, *TRAINING)}
    goals = list(group["goal"].unique())
    lines = []
    for title, part in group.groupby("cost", sort=False):
        # The goal in the middle decides the order of the families.
        ranked = part[part["goal"] == goals[len(goals) // 2]].sort_values("value", kind="stable")
        for family in ranked["family"]:
            cells = part[part["family"] == family].set_index("goal")
            texts = {_goal_title(goal): _cell(cells.loc[goal], axes[title]) for goal in goals}
            lines.append({"in": title, "family": family} | texts)
    return pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True) + "\n"


def _goal_title(goal: str) -> str:
    return "to best PSNR − 0.1 dB" if goal == "psnr" else f"to {100 * float(goal):g} %"


def _cell(row: pd.Series, cost: CostAxis) -> str:
    if math.isnan(row["value"]):
        return "—"
    ratio = f"{row['ratio']:.0f}" if row["ratio"] >= 99.5 else f"{row['ratio']:.3g}"
    text = f"{cost.show(row['value'])}, {ratio} ×: {brief(row['solver'])}"
    return f"**{text}**" if row["ratio"] == 1 else text


_LEGEND = """
---
For each family of solvers the cheapest whose gradient at the initial parameters is within 10, 1 and 0.1 % of the
certified float64 implicit gradient: the cost of a training step, its ratio to the cheapest of all, and the arguments
of the solver (all of them in `pareto.csv`). In bold the cheapest; — if no measured solver of the family is that exact.
Seconds are medians on the machine of the run: ratios near 1 are ties.
If a training was evaluated: applications + VJPs, and seconds, of the training steps until a solver's own
reconstructions of the test images are within 0.1 dB of the best of any solver; the evaluations are not counted.
"""
