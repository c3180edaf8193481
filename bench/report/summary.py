"""Means and spreads over seeds as numbers and as text, and which of them are the best of a task."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false
from __future__ import annotations

import math

import pandas as pd

from ..analysis import metrics
from ..analysis.metric import Metric, Table
from ..analysis.metrics import ERROR
from ..analysis.over_seeds import column, known_to, largest_over_seeds, smallest


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds of each task and solver, in the order of the frame.

    The spread is the standard deviation, 0 for a single seed; that of a timing is its interquartile range. Failed cells
    are counted in ``failed`` and are in no mean.

    Columns: ``task``, ``crop``, ``batch``, ``heading``, ``solver``; ``seeds`` of the task, and ``failed``; for each
    printed metric X ``X``, ``X_spread``, ``X_seeds`` (seeds with a value) and ``X_lost`` (seeds that diverged), and
    ``X_best`` if the best is bold; of the gradient error ``X_least`` and ``X_worst`` over seeds and draws, and
    ``X_known_to``, below which errors are not ranked.
    """
    parts = []
    for heading, of_task in frame.groupby("heading", sort=False):
        groups = of_task.groupby("solver", sort=False)
        part = pd.DataFrame([_row(str(heading), str(solver), group, of_task) for solver, group in groups])
        best = {f"{m.name}_best": _best(m, part, of_task) for m in metrics.printed() if m.better and m.bold}
        parts.append(part.assign(**best))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _row(heading: str, solver: str, group: pd.DataFrame, of_task: pd.DataFrame) -> dict[str, object]:
    good = group[group["status"] == "ok"]
    seeds = of_task["seed"].nunique()
    row: dict[str, object] = {name: group[name].iloc[0] for name in ("task", "crop", "batch")}
    row |= {"heading": heading, "solver": solver, "seeds": seeds, "failed": len(group) - len(good)}
    for metric in metrics.printed():
        values = column(good, metric.name).dropna()
        several = len(values) > 1 and bool(values.map(math.isfinite).all())
        spread = values.std() if several else 0.0
        row[metric.name] = values.agg(metric.over_seeds) if len(values) else math.nan
        row[f"{metric.name}_spread"] = column(good, metric.spread).mean() if metric.spread else spread
        row[f"{metric.name}_seeds"] = seeds if metric.timed and len(values) else len(values)
        row[f"{metric.name}_lost"] = int((values == -math.inf).sum())
    known = good[column(good, ERROR).notna()]
    row |= {f"{ERROR}_least": smallest(known), f"{ERROR}_worst": largest_over_seeds(known)}
    return row | {f"{ERROR}_known_to": known_to(of_task)}


def _best(metric: Metric, part: pd.DataFrame, of_task: pd.DataFrame) -> pd.Series:
    """Which solvers of a task are the best; never one that misses a seed.

    Seeds are other crops and other noise, so that paired metrics are compared seed by seed: a solver ties with the best
    if it is behind by no more than the standard deviation of the difference over seeds. One seed shows no difference,
    and none is the best. Gradient errors are ranked by the largest over seeds and draws.
    """
    values = part[metric.name]
    if metric.name == ERROR:
        values = part[f"{ERROR}_worst"].clip(lower=part[f"{ERROR}_known_to"])
    complete = values.map(math.isfinite) & (part[f"{metric.name}_seeds"] == part["seeds"])
    if not complete.any() or (metric.paired and part["seeds"].iloc[0] < 2):
        return pd.Series(False, index=part.index)
    winner = values[complete].max() if metric.better == "higher" else values[complete].min()
    # Equal texts are marked alike.
    best = values.map(lambda value: math.isfinite(value) and metric.text(value) == metric.text(winner))
    if metric.paired:
        first = part.loc[complete & (values == winner), "solver"].iloc[0]
        by_seed = of_task.pivot_table(index="seed", columns="solver", values=metric.name, sort=False)
        behind = by_seed.where(by_seed.abs() < math.inf).sub(by_seed[first], axis=0)
        best |= part["solver"].map(behind.mean().abs() <= behind.std()).fillna(False).astype(bool)
    return complete & best


def printable(
    summary: pd.DataFrame, heading: str, table: Table = Table.RESULTS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows under a heading as text, and which of them are the best of their column.

    A column without any value is left out. A mean that misses a seed of the task says so.
    """
    part = summary[summary["heading"] == heading].reset_index(drop=True)
    rows = part.to_dict("records")
    text, best = pd.DataFrame({"solver": part["solver"]}), pd.DataFrame({"solver": False}, index=part.index)
    for metric in metrics.in_table(table):
        if part[metric.name].notna().any():
            title = metric.heading(table)
            text[title] = [_text(metric, row) for row in rows]
            best[title] = part.get(f"{metric.name}_best", False)
    if part["failed"].any():
        text["failed"] = [str(n) if n else "" for n in part["failed"]]
        best["failed"] = False
    return text, best


def _text(metric: Metric, row: dict[str, float]) -> str:
    value, spread = row[metric.name], row[f"{metric.name}_spread"]
    known, seeds, lost = row[f"{metric.name}_seeds"], row["seeds"], row[f"{metric.name}_lost"]
    if math.isnan(value):
        return "—"
    if lost:
        return metric.text(value) if lost == seeds else f"{metric.text(value)} on {lost} of {seeds}"
    text = metric.text(value)
    if metric.name == ERROR:
        text = _error(row)
    elif not metric.words and float(metric.text(spread)) > 0:  # a spread that prints as 0 is left out
        text = f"{text} ± {metric.text(spread)}"
    return text if known == seeds else f"{text} ({known} of {seeds})"


def _error(row: dict[str, float]) -> str:
    """Mean over seeds, and the range over seeds and draws, none below the known error of the reference."""
    known = row[f"{ERROR}_known_to"]
    if row[f"{ERROR}_worst"] == math.inf:
        return "diverged" if row[f"{ERROR}_least"] == math.inf else "diverged on a draw"
    if row[f"{ERROR}_worst"] < known:
        return f"< {known:.1g}"
    values = (row[ERROR], row[f"{ERROR}_least"], row[f"{ERROR}_worst"])
    mean, least, worst = (f"{max(value, known):.1e}" for value in values)
    return mean if least == worst == mean else f"{mean} ({least} to {worst})"
