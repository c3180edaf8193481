"""What a gradient within an error costs, by one rule for every family: one setting for all tasks."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math

import pandas as pd

from ..config.call_syntax import brief_call
from .contraction import contraction_facts, contractions
from .pareto import cheapest_rows, points

WITHIN = 0.01
"""Relative error of the gradient that settings are chosen for."""


def alike(frame: pd.DataFrame) -> list[list[str]]:
    """Groups of headings that were measured with the same solvers; groups of one are left out."""
    groups: dict[frozenset[str], list[str]] = {}
    for heading, part in frame.groupby("heading", sort=False):
        if part["hypergradient_error"].notna().any():
            groups.setdefault(frozenset(part["solver"]), []).append(str(heading))
    return [group for group in groups.values() if len(group) > 1]


def cost_at_error(frame: pd.DataFrame, tuned: str, within: float = WITHIN) -> pd.DataFrame:
    """The setting of each family with the fewest products whose gradient is exact enough on one task, on every task.

    Nothing is tuned again for another task: the error there is part of the result.

    Args:
        frame: rows of ``tidy.tidy``.
        tuned: heading that settings are chosen on.
        within: relative error, the largest over seeds and draws.

    Returns:
        Rows of ``pareto.points`` of the chosen solvers under every heading, cheap ones first.
    """
    return _chosen(points(frame), tuned, within)


def _chosen(rows: pd.DataFrame, tuned: str, within: float) -> pd.DataFrame:
    exact = rows[(rows["heading"] == tuned) & (rows["error"] <= within)]
    order = list(cheapest_rows(exact, "work")["solver"])
    chosen = rows[rows["solver"].isin(order)]
    return chosen.assign(place=chosen["solver"].map(order.index)).sort_values("place", kind="stable")


def cost_at_error_markdown(
    frame: pd.DataFrame, tuned: str, headings: list[str], within: float = WITHIN
) -> str:
    """``cost_at_error`` as a table: a row per family, a column per task, the one settings are chosen on first."""
    return _markdown(frame, cost_at_error(frame, tuned, within), tuned, headings)


def _markdown(frame: pd.DataFrame, rows: pd.DataFrame, tuned: str, headings: list[str]) -> str:
    columns = [tuned, *(heading for heading in headings if heading != tuned)]
    titles = [f"`{h}`, {contraction_facts(contractions(frame[frame['heading'] == h]))}" for h in columns]
    lines = [
        f"| products, milliseconds, MiB of tape (error) | {' | '.join(titles)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for solver, part in rows.groupby("solver", sort=False):
        by_task = part.set_index("heading")
        cells = [_cell(by_task.loc[h]) if h in by_task.index else "–" for h in columns]
        lines.append(f"| `{brief_call(str(solver))}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def sections(frame: pd.DataFrame, within: float = WITHIN) -> str:
    """``tables/headline.md``: for each group of tasks with the same solvers, settings chosen on each in turn."""
    every = points(frame)
    parts = [
        f"## Tuned on {tuned}\n\n{_markdown(frame, rows, tuned, group)}\n"
        for group in alike(frame)
        for tuned in group
        if len(rows := _chosen(every, tuned, within))
    ]
    return "\n".join(parts) + _LEGEND.format(100 * within) if parts else ""


def _cell(row: pd.Series) -> str:
    ms = "–" if math.isnan(row["step_ms"]) else f"{row['step_ms']:.0f}"
    return f"{row['work']:g}, {ms}, {row['saved_mib']:.3g} ({percent(row['error'])})"


def percent(error: float) -> str:
    """A relative error in per cent, to two digits; below 0.001 % as that bound."""
    if error < 1e-5:
        return "< 0.001 %"
    return f"{100 * error:.2g} %" if error < 0.995 else f"{100 * error:.0f} %"


_LEGEND = """
---
One rule for every family, ours and other libraries': the measured setting with the fewest products (applications +
VJPs) whose gradient is within {:g} % on the named task, and the same setting on the others. The error is the largest
over seeds and draws. A family without a setting that exact has no row.
"""
