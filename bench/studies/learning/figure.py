"""What is left of the gain against products, a panel a task."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
from __future__ import annotations

import math
import re

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...operators.splitting import FORWARD_BACKWARD
from ...report.figure_style import number_log
from .table import SHARES, name_of, reached

LEAST = 1e-4
"""Smallest share of the gain on the axis."""
RANKED = 0.99
"""Share of the gain whose products rank the rows."""
COLOURS = 10
"""Number of different colours that are told apart with any eyes."""
GREY = "0.82"
NESTED = re.compile(r"=\((?:[^()]|\([^()]*\))*\)")
"""An argument that is a tuple of calls."""


def learning_figure(steps: pd.DataFrame) -> Figure:
    """A line for each row and seed: the smallest gap so far, as a step function of products.

    Of each source and optimiser the best row is coloured, see ``coloured_rows``; the other rows are grey.
    """
    frame = steps.assign(
        gap=steps.groupby(["task", "seed", "row"])["gap"].cummin().clip(lower=LEAST),
        line=steps["row"] + "|" + steps["seed"].astype(str),
    )
    rows = coloured_rows(steps)
    palette = dict(zip(rows, sns.color_palette("colorblind", COLOURS), strict=False))
    tasks = list(frame["task"].unique())
    columns = min(len(tasks), 2)
    height = 3.4 * math.ceil(len(tasks) / columns)
    figure, axes = plt.subplots(
        math.ceil(len(tasks) / columns),
        columns,
        figsize=(4.8 * columns, height),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for ax, task in zip(axes.flat, tasks, strict=False):
        of_task = frame[frame["task"] == task]
        for row in [*of_task["row"].unique(), *rows]:  # coloured ones again, above the grey
            look = {"color": palette[row], "lw": 1.4} if row in palette else {"color": GREY, "lw": 0.8}
            for _, line in of_task[of_task["row"] == row].groupby("line", sort=False):
                ax.step(line["products"], line["gap"], where="post", **look)
        for share in SHARES:
            ax.axhline(1 - share, color="0.75", lw=0.7, zorder=0)
            place = ax.get_yaxis_transform()
            ax.text(
                1.01, 1 - share, f"{name_of(share)} %", transform=place, va="center", color="0.5", fontsize=7
            )
        ax.set(xscale="log", yscale="log", ylim=(LEAST, 1.2), title=task)
        ax.set(xlabel="applications + VJPs", ylabel="left of the gain")
        ax.label_outer()
    number_log(axes.flat[0].xaxis)  # shared by all panels
    for ax in axes.flat[len(tasks) :]:
        ax.set_visible(False)
    figure.tight_layout()
    handles = [Line2D([], [], color=palette[row], label=short_label(steps, row)) for row in rows]
    if len(rows) < len(set(steps["row"])):
        handles.append(Line2D([], [], color=GREY, label="other rows, in the table"))
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.05, 0.0),
        frameon=False,
        fontsize=8,
        labelspacing=0.3,
    )
    return figure


def coloured_rows(steps: pd.DataFrame) -> list[str]:
    """The best row of each source and optimiser, best first, at most ``COLOURS``.

    Best is what most often comes to ``RANKED`` of the gain over tasks and seeds, and of those the smallest geometric
    mean of the products until then.
    """
    scores: dict[str, tuple[int, float]] = {}
    best: dict[tuple[str, str], str] = {}
    for row, part in steps.groupby("row", sort=False):
        costs = [reached(one, RANKED, "products") for _, one in part.groupby(["task", "seed"])]
        known = [math.log(cost) for cost in costs if not math.isnan(cost)]
        scores[str(row)] = (len(costs) - len(known), sum(known) / len(known) if known else math.inf)
        first = part.iloc[0]
        group = str(first["source"]), str(first["optimiser"]).partition("(")[0]
        if group not in best or scores[str(row)] < scores[best[group]]:
            best[group] = str(row)
    return sorted(best.values(), key=lambda row: scores[row])[:COLOURS]


def short_label(steps: pd.DataFrame, row: str) -> str:
    """The source, estimator, operator, optimiser and start of a row, with ``…`` for tuples of calls."""
    names = ["source", "estimator", "operator", "optimiser", "start"]
    source, estimator, operator, optimiser, start = map(str, steps.loc[steps["row"] == row, names].iloc[0])
    on = "" if operator == FORWARD_BACKWARD else f" on {operator}"
    return f"{source}: {estimator}{on}, {NESTED.sub('=…', optimiser)}, {start}"
