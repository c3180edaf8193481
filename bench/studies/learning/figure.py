"""What is left of the gain against products, a panel a task."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
from __future__ import annotations

import math

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from ...operators.splitting import FORWARD_BACKWARD
from ...report.figure_style import number_log
from .table import SHARES, name_of

LEAST = 1e-4
"""Smallest share of the gain on the axis."""
COLOURS = 10
"""Number of different colours that are told apart with any eyes."""


def learning_figure(steps: pd.DataFrame) -> Figure:
    """A line for each row and seed: the smallest gap so far, as a step function of products.

    Colours are estimators with their operators, dashes are optimisers with their starts.
    """
    frame = steps.assign(
        estimator=[
            estimator if operator == FORWARD_BACKWARD else f"{estimator} on {operator}"
            for estimator, operator in zip(steps["estimator"], steps["operator"], strict=True)
        ],
        optimiser=steps["optimiser"] + ", " + steps["start"],
        gap=steps.groupby(["task", "seed", "row"])["gap"].cummin().clip(lower=LEAST),
    )
    tasks = list(frame["task"].unique())
    methods, ways = list(frame["estimator"].unique()), list(frame["optimiser"].unique())
    colours = sns.color_palette("colorblind" if len(methods) <= COLOURS else "husl", len(methods))
    palette = dict(zip(methods, colours, strict=True))
    columns = min(len(tasks), 2)
    rows = math.ceil(len(tasks) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(4.8 * columns, 3.6 * rows), squeeze=False, sharex=True, sharey=True
    )
    for ax, task in zip(axes.flat, tasks, strict=False):
        sns.lineplot(
            frame[frame["task"] == task],
            x="products",
            y="gap",
            hue="estimator",
            hue_order=methods,
            palette=palette,
            style="optimiser",
            style_order=ways,
            units="seed",
            estimator=None,
            drawstyle="steps-post",
            lw=1.2,
            ax=ax,
            legend="full" if ax is axes.flat[0] else False,
        )
        for share in SHARES:
            ax.axhline(1 - share, color="0.75", lw=0.7, zorder=0)
            place = ax.get_yaxis_transform()
            ax.text(
                1.01, 1 - share, f"{name_of(share)} %", transform=place, va="center", color="0.5", fontsize=7
            )
        ax.set(
            xscale="log",
            yscale="log",
            ylim=(LEAST, 1.2),
            title=task,
            xlabel="applications + VJPs",
            ylabel="left of the gain",
        )
    number_log(axes.flat[0].xaxis)  # shared by all panels
    for ax in axes.flat[len(tasks) :]:
        ax.set_visible(False)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    axes.flat[0].get_legend().remove()
    figure.tight_layout()
    figure.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return figure
