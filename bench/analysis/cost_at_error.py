"""What a gradient within an error costs, under one rule for everybody: one setting a family, for all tasks."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import math

import pandas as pd

from .pareto import brief, cheapest_rows, points

WITHIN = 0.01
"""Relative error of the gradient that a setting is tuned for."""


def alike(frame: pd.DataFrame) -> list[list[str]]:
    """The headings that were measured with the same solvers; groups of one are left out."""
    groups: dict[frozenset[str], list[str]] = {}
    for heading, part in frame.groupby("heading", sort=False):
        if part["hypergradient_error"].notna().any():
            groups.setdefault(frozenset(part["solver"]), []).append(str(heading))
    return [group for group in groups.values() if len(group) > 1]


def cost_at_error(frame: pd.DataFrame, tuned: str, within: float = WITHIN) -> pd.DataFrame:
    """Of each family the setting with the least products whose gradient is within ``within`` on ``tuned``, everywhere.

    The rule is the same for our solvers and for those of other libraries: nothing is tuned again for another task, and
    the error that the setting has there is told.

    Args:
        frame: that of ``frame.tidy``.
        tuned: the heading that settings are chosen on.
        within: relative error, the largest over seeds and draws.

    Returns:
        Rows of ``pareto.points`` for every heading, of the chosen solvers, cheap ones first.
    """
    found = points(frame)
    there = found[(found["heading"] == tuned) & (found["error"] <= within)]
    order = list(cheapest_rows(there, "work")["solver"])
    kept = found[found["solver"].isin(order)]
    return kept.assign(place=kept["solver"].map(order.index)).sort_values("place", kind="stable")


def cost_at_error_markdown(
    frame: pd.DataFrame, tuned: str, headings: list[str], within: float = WITHIN
) -> str:
    """``cost_at_error`` as a table: a row a family, a column a task, the one that was tuned on first."""
    found = cost_at_error(frame, tuned, within)
    columns = [tuned, *(heading for heading in headings if heading != tuned)]
    bounds = {h: frame.loc[frame["heading"] == h, "contraction"].mean() for h in columns}
    titles = [f"`{h}`, L = {bounds[h]:.3f}" if bounds[h] == bounds[h] else f"`{h}`" for h in columns]
    lines = [
        f"| products, milliseconds, MiB of tape (error) | {' | '.join(titles)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for solver in dict.fromkeys(found["solver"]):
        part = found[found["solver"] == solver].set_index("heading")
        cells = [_cell(part.loc[h]) if h in part.index else "–" for h in columns]
        family = part["family"].iloc[0]
        lines.append(f"| `{family}({brief(solver)})` | {' | '.join(cells)} |")
    return "\n".join(lines)


def sections(frame: pd.DataFrame, within: float = WITHIN) -> str:
    """``tables/headline.md``: for each group of tasks with the same solvers, tuned on each of them in turn."""
    parts = [
        f"## Tuned on {tuned}\n\n{cost_at_error_markdown(frame, tuned, group, within)}\n"
        for group in alike(frame)
        for tuned in group
        if len(cost_at_error(frame, tuned, within))
    ]
    return "\n".join(parts) + _LEGEND.format(100 * within) if parts else ""


def _cell(row: pd.Series) -> str:
    ms = "–" if math.isnan(row["step_ms"]) else f"{row['step_ms']:.0f}"
    return f"{row['work']:g}, {ms}, {row['saved_mib']:.3g} ({percent(row['error'])})"


def percent(error: float) -> str:
    """A relative error in per cent, to two digits; the smallest as what they are below."""
    return (
        "< 0.001 %" if error < 1e-5 else f"{100 * error:.2g} %" if error < 0.995 else f"{100 * error:.0f} %"
    )


_LEGEND = """
---
One rule for every family, ours and other libraries': of the settings that were measured the one with the least products
(applications + VJPs) whose gradient is within {:g} % on the task that is named, and the same setting on the others. The
error is the largest over seeds and draws. Families of which no setting is that exact have no row.
"""
