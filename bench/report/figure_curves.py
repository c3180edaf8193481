"""Figures with lines through them: fronts of error and cost, PSNR in the course of a training, growth with the size."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from ..analysis.over_seeds import over_all
from ..analysis.pareto import COSTS, LEVELS, TRAINING, CostAxis, cheapest_rows, front
from ..analysis.scaling import LEAST
from .figure_style import looks_of, name_points, number_log, side_legend

BOTTOM = 1e-5
"""Smaller errors are drawn here, so that the levels asked for have the room."""


def pareto(points: pd.DataFrame) -> Figure:
    """Error of the gradient against each cost of a training step, a line a task, with fronts and the cheapest.

    Args:
        points: that of ``pareto.points``; not empty.
    """
    tasks = list(points["heading"].unique())
    figure, axes = plt.subplots(
        len(tasks), len(COSTS), figsize=(4.6 * len(COSTS), 3.7 * len(tasks)), squeeze=False, sharey="row"
    )
    for task, line in zip(tasks, axes, strict=True):
        for cost, ax in zip(COSTS, line, strict=True):
            part = points[points["heading"] == task].dropna(subset=[cost.name])
            _front(ax, part.assign(error=part["error"].clip(lower=BOTTOM)), cost, points)
        line[0].set_ylabel(f"relative error of the gradient (≥ {BOTTOM:g})")
        line[1].set_title(task)
    rings = Line2D([], [], marker="o", ls="", ms=11, mfc="none", mec="k", label="cheapest to 10, 1, 0.1 %")
    line = Line2D([], [], color="0.35", lw=1.2, label="front")
    side_legend(figure, points, [line, rings])
    figure.tight_layout()
    return figure


def _front(ax: Axes, part: pd.DataFrame, cost: CostAxis, points: pd.DataFrame) -> None:
    if part.empty:  # nothing of it was timed
        ax.set_visible(False)
        return
    for level in LEVELS:
        ax.axhline(level, color="0.75", lw=0.8, ls="--", zorder=0)
        ax.annotate(
            f"{100 * level:g} %",
            (0.995, level),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=7,
            color="0.45",
        )
    best = front(part, cost.name)
    # On to the edges: nothing is cheaper than the first, and nothing dearer is needed for the last.
    x = [*best[cost.name], part[cost.name].max() * 100]
    y = [*best["error"], best["error"].iloc[-1]]
    ax.step([x[0], *x], [100, *y], where="post", color="0.35", lw=1.2, zorder=1)
    looks = looks_of(points)
    for row in part.itertuples():
        ax.plot(getattr(row, cost.name), row.error, ls="", zorder=2, **looks[row.family])
    ringed = [
        found.iloc[0]
        for level in LEVELS
        if len(found := cheapest_rows(part[part["error"] <= level], cost.name))
    ]
    marked = pd.DataFrame(ringed).drop_duplicates("solver") if ringed else part.head(0)
    ax.plot(
        marked[cost.name], marked["error"], ls="", marker="o", ms=12, mfc="none", mec="k", mew=1.1, zorder=3
    )
    low, high = part[cost.name].min() / 1.5, part[cost.name].max() * 1.5
    ax.set(xscale="log", yscale="log", xlabel=cost.title, xlim=(low, high))
    ax.set_ylim(BOTTOM / 2, max(1.0, part["error"].max()) * 2)
    number_log(ax.xaxis)
    ax.yaxis.set_minor_locator(LogLocator(subs=[]))
    ax.grid(alpha=0.2)


def learning(looked: pd.DataFrame) -> Figure:
    """PSNR on the test images against the work, and the seconds, of the training so far; a line a solver.

    Args:
        looked: that of ``frame.looks``; not empty.
    """
    by = ["heading", "solver", "family", "peer", "step"]
    means = over_all(looked, by, ["psnr", "work"])
    seconds = looked.groupby(by, sort=False)["seconds"].mean().reset_index()
    means = means.merge(seconds, on=by, how="left")
    tasks = list(means["heading"].unique())
    costs = [cost for cost in TRAINING if means[cost.name].notna().any()]
    figure, axes = plt.subplots(
        len(tasks), len(costs), figsize=(5 * len(costs), 3.7 * len(tasks)), squeeze=False, sharey="row"
    )
    looks = looks_of(means)
    for task, line in zip(tasks, axes, strict=True):
        part = means[means["heading"] == task]
        for cost, ax in zip(costs, line, strict=True):
            for _, run in part.dropna(subset=[cost.name]).groupby("solver", sort=False):
                ax.plot(run[cost.name], run["psnr"], lw=1, **looks[run["family"].iloc[0]] | {"ms": 4})
            ax.set(xscale="log", xlabel=f"{cost.title} of the training so far", title=task)
            # Whoever starts or ends far below tells enough; the others must stay readable.
            best = part["psnr"].max()
            bottom = max(part["psnr"].min() - 0.2, best - 8)
            ax.set_ylim(bottom, best + 0.1 * (best - bottom))
            ax.axhline(best - 0.1, color="0.75", lw=0.8, ls="--", zorder=0)
            ax.yaxis.set_major_locator(MaxNLocator(6))
            ax.margins(x=0.12)
            number_log(ax.xaxis)
            ax.grid(alpha=0.3)
            shown = part[part["psnr"] > ax.get_ylim()[0]].dropna(subset=[cost.name])
            name_points(ax, shown.groupby("solver", sort=False).tail(1), cost.name, "psnr")
        line[0].set_ylabel("PSNR on test images (dB)")
    side_legend(figure, means, [Line2D([], [], color="0.6", lw=0.8, ls="--", label="best − 0.1 dB")])
    figure.tight_layout()
    return figure


def growth(sizes: pd.DataFrame) -> Figure | None:
    """Seconds of a step and peak memory against the pixels of an image, a line a solver and a column a task and batch.

    Args:
        sizes: that of ``growth.sizes``.

    Returns:
        ``None`` where nothing was measured at three crops with the same batch.
    """
    several = sizes.groupby(["task", "batch", "solver"])["pixels"].transform("nunique").ge(LEAST)
    kept = sizes[several]
    if kept.empty:
        return None
    columns = list(kept[["task", "batch"]].drop_duplicates().itertuples(index=False))
    titles = {"seconds": "seconds of a training step", "peak_mib": "peak memory (MiB)"}
    figure, axes = plt.subplots(
        len(titles),
        len(columns),
        figsize=(4.6 * len(columns), 3.6 * len(titles)),
        squeeze=False,
        sharex="col",
    )
    looks = looks_of(kept)
    for (task, batch), line in zip(columns, axes.T, strict=True):
        part = kept[(kept["task"] == task) & (kept["batch"] == batch)]
        for (name, title), ax in zip(titles.items(), line, strict=True):
            known = part.dropna(subset=[name])
            if known.empty:
                ax.set_visible(False)
                continue
            for _, run in known.groupby("solver", sort=False):
                run = run.sort_values("pixels")
                ax.plot(run["pixels"], run[name], lw=1.2, **looks[run["family"].iloc[0]] | {"ms": 5})
            ends = np.array([known["pixels"].min(), known["pixels"].max()], float)
            ax.plot(ends, known[name].min() * 0.6 * ends / ends[0], color="0.4", lw=1, ls=":")
            ax.set(xscale="log", yscale="log", ylabel=title)
            crops = sorted(known["crop"].unique())
            ax.set_xticks([crop**2 for crop in crops], [f"{crop}²" for crop in crops])
            ax.xaxis.set_minor_locator(NullLocator())
            ax.margins(x=0.16, y=0.08)
            number_log(ax.yaxis)
            ax.grid(alpha=0.3)
            last = known.sort_values("pixels").groupby("solver", sort=False).tail(1)
            name_points(ax, last, "pixels", name)
        line[0].set_title(f"{task}, batch {batch}")
        line[-1].set_xlabel("pixels of an image")
    side_legend(figure, kept, [Line2D([], [], color="0.4", lw=1, ls=":", label="proportional")])
    figure.tight_layout()
    return figure
