"""Means and spreads over seeds as text: what misses a seed is told, and what ties with the best is marked too."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import math

import pandas as pd

from ..analysis.metrics import COLUMNS, ERROR, PAST, Metric
from ..analysis.over_seeds import column as numbers
from ..analysis.over_seeds import known_to, largest, smallest

MARKED = tuple({column.name: column for column in (*COLUMNS, *PAST) if column.best is not None}.values())
"""The columns that have a best."""


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread over seeds of each task and solver, in the order of the frame.

    The spread is the standard deviation, and 0 for a single seed; that of a timing is its interquartile
    range. Cells that failed count as ``failed`` and are in no mean. Columns: ``task``, ``crop``, ``batch``,
    ``heading``, ``solver``; ``seeds``, those of the task, and ``failed``; for each column X ``X``, ``X_spread``,
    ``X_seeds`` (those that have a value) and ``X_lost`` (those that diverged), and ``X_best`` where one is marked; of
    the error of the gradient the ``X_least`` and ``X_worst`` over seeds and draws, and ``X_known_to``: smaller ones are
    not ranked.
    """
    parts = []
    for heading, of_task in frame.groupby("heading", sort=False):
        rows = [
            _row(str(heading), str(solver), group, of_task)
            for solver, group in of_task.groupby("solver", sort=False)
        ]
        part = pd.DataFrame(rows)
        parts.append(
            part.assign(**{f"{column.name}_best": _best(column, part, of_task) for column in MARKED})
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _row(heading: str, solver: str, group: pd.DataFrame, of_task: pd.DataFrame) -> dict[str, object]:
    good = group[group["status"] == "ok"]
    seeds = of_task["seed"].nunique()
    row: dict[str, object] = {name: group[name].iloc[0] for name in ("task", "crop", "batch")}
    row |= {"heading": heading, "solver": solver, "seeds": seeds, "failed": len(group) - len(good)}
    for column in (*COLUMNS, *PAST):
        values = numbers(good, column.name).dropna()
        several = len(values) > 1 and bool(values.map(math.isfinite).all())
        spread = values.std() if several else 0.0
        row[column.name] = column.over(values) if len(values) else math.nan
        row[f"{column.name}_spread"] = numbers(good, column.spread).mean() if column.spread else spread
        row[f"{column.name}_seeds"] = seeds if column.once and len(values) else len(values)
        row[f"{column.name}_lost"] = int((values == -math.inf).sum())
    known = good[numbers(good, ERROR).notna()]
    row |= {f"{ERROR}_least": smallest(known), f"{ERROR}_worst": largest(known)}
    return row | {f"{ERROR}_known_to": known_to(of_task)}


def _best(column: Metric, part: pd.DataFrame, of_task: pd.DataFrame) -> pd.Series:
    """Which solvers of a task are the best of a column: what misses a seed never is.

    Seeds are other crops and other noise, so PSNRs and losses are compared seed by seed: what lies behind the best by
    no more than the standard deviation of that difference is marked too. One seed shows no difference, and none
    is marked. Of errors the largest over seeds and draws decides.
    """
    values = part[column.name]
    if column.name == ERROR:
        values = part[f"{ERROR}_worst"].clip(lower=part[f"{ERROR}_known_to"])
    whole = values.map(math.isfinite) & (part[f"{column.name}_seeds"] == part["seeds"])
    if column.best is None or not whole.any() or (column.paired and part["seeds"].iloc[0] < 2):
        return pd.Series(False, index=part.index)
    winner = column.best(values[whole])
    alike = values.map(lambda value: math.isfinite(value) and column.show(value) == column.show(winner))
    if column.paired:  # what prints alike is marked alike, and so is what ties
        first = part.loc[whole & (values == winner), "solver"].iloc[0]
        each = of_task.pivot_table(index="seed", columns="solver", values=column.name, sort=False)
        apart = each.where(each.abs() < math.inf).sub(each[first], axis=0)
        alike |= part["solver"].map(apart.mean().abs() <= apart.std()).fillna(False).astype(bool)
    return whole & alike


def printable(
    summary: pd.DataFrame, heading: str, columns: tuple[Metric, ...] = COLUMNS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows under a heading as text, and which of them are the best of their column.

    A column of which nothing was measured is left out. What misses a seed of the task says so, and is never the best.
    """
    part = summary[summary["heading"] == heading].reset_index(drop=True)
    columns = tuple(c for c in columns if part[c.name].notna().any())
    text = pd.DataFrame({"solver": part["solver"]})
    best = pd.DataFrame(False, index=part.index, columns=["solver", *(c.title for c in columns)])
    rows = part.to_dict("records")
    for column in columns:
        text[column.title] = [_text(column, row) for row in rows]
        if column.best is not None:
            best[column.title] = part[f"{column.name}_best"].to_numpy()
    failed = part["failed"].to_numpy()
    if failed.any():
        text["failed"] = [str(n) if n else "" for n in failed]
        best["failed"] = False
    return text, best


def _text(column: Metric, row: dict[str, float]) -> str:
    value, spread = row[column.name], row[f"{column.name}_spread"]
    known, seeds, lost = row[f"{column.name}_seeds"], row["seeds"], row[f"{column.name}_lost"]
    if math.isnan(value):
        return "—"
    if lost:
        return column.show(value) if lost == seeds else f"{column.show(value)} on {lost} of {seeds}"
    text = column.show(value)
    if column.name == ERROR:
        text = _error(row)
    elif not column.words and float(around := column.show(spread)) > 0:  # what prints as nothing is not shown
        text = f"{text} ± {around}"
    return text if known == seeds else f"{text} ({known} of {seeds})"


def _error(row: dict[str, float]) -> str:
    """The mean over seeds, and from the least to the largest of seeds and draws; or that it is below what is known."""
    known = row[f"{ERROR}_known_to"]
    if row[f"{ERROR}_worst"] == math.inf:
        return "diverged" if row[f"{ERROR}_least"] == math.inf else "diverged on a draw"
    if row[f"{ERROR}_worst"] < known:
        return f"< {known:.1g}"
    least, worst = (max(row[f"{ERROR}_{which}"], known) for which in ("least", "worst"))
    mean, *ends = (f"{value:.1e}" for value in (max(row[ERROR], known), least, worst))
    return mean if ends == [mean, mean] else f"{mean} ({ends[0]} to {ends[1]})"
