"""Figures of a run, with seaborn; pure functions of the tidy table and the stored pictures."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from ..analysis.over_seeds import known_to, past_depth
from ..analysis.pareto import points
from . import figure_curves
from .figure_style import (
    FAMILIES,
    RC,
    facets,
    means_of,
    name_points,
    number_log,
    save_figure,
    shared_legend,
    style_of,
)
from .tables import slug

PANEL = 30
"""Characters over a picture before a line ends."""


def error_against_cost(frame: pd.DataFrame) -> Figure | None:
    """Relative error of the gradient against applications + VJPs and against seconds, a column a task.

    ``None`` where no solver has an error on every seed.
    """
    means = means_of(frame)
    means = means[np.isfinite(means["hypergradient_error"])]  # what diverged on a draw has none
    if means.empty:
        return None
    # What lies below the reference's own accuracy is not known to be any smaller.
    floors = {heading: known_to(part) for heading, part in frame.groupby("heading", sort=False)}
    means["hypergradient_error"] = means["hypergradient_error"].clip(lower=means["heading"].map(floors))
    tasks = list(means["heading"].unique())
    costs = [("cost", "applications + VJPs of a training step")]
    if means["step_ms"].notna().any():
        costs.append(("step_ms", "milliseconds of a training step"))
    # Tasks side by side while they fit a page, and below each other when there are more.
    wide = len(tasks) <= 3
    lines, columns = (len(costs), len(tasks)) if wide else (len(tasks), len(costs))
    figure, axes = plt.subplots(lines, columns, figsize=(4.4 * columns, 3.7 * lines), squeeze=False)
    axes = axes if wide else axes.T
    for line, (x, label) in zip(axes, costs, strict=True):
        for ax, task in zip(line, tasks, strict=True):
            part = means[(means["heading"] == task) & means[x].notna()]
            if part.empty:  # nothing of it was timed
                ax.set_visible(False)
                continue
            sns.scatterplot(part, x=x, y="hypergradient_error", s=55, ax=ax, **style_of(means))
            ax.set(
                xscale="log", yscale="log", xlabel=label, ylabel="relative error of the gradient", title=task
            )
            ax.yaxis.set_minor_locator(LogLocator(subs=[]))
            ax.margins(x=0.16, y=0.08)
            number_log(ax.xaxis)
            number_log(ax.yaxis)
            ax.grid(alpha=0.3)
            name_points(ax, part, x, "hypergradient_error")
    shared_legend(figure, axes.flat, "estimator")
    figure.tight_layout()
    return figure


def psnr_against_depth(frame: pd.DataFrame) -> Figure | None:
    """PSNR at the trained depth (filled) and at equilibrium (hollow) against the applications of a forward pass.

    No hollow mark where a seed reached no equilibrium; ``None`` where no solver has a PSNR on every seed.
    """
    means = means_of(frame).dropna(subset=["psnr"])
    if means.empty:
        return None
    tasks = list(means["heading"].unique())
    figure, axes = facets(len(tasks))
    style = style_of(means)
    for ax, task in zip(axes, tasks, strict=True):
        part = means[means["heading"] == task]
        for row in part.itertuples():
            ax.plot([row.applications] * 2, [row.psnr, row.psnr_equilibrium], color="0.75", lw=1, zorder=0)
        sns.scatterplot(part, x="applications", y="psnr", s=55, ax=ax, **style)
        hollow = dict(
            zip(style["hue_order"], zip(style["palette"], style["markers"], strict=True), strict=True)
        )
        for row in part.itertuples():
            colour, marker = hollow[row.family]
            ax.scatter(
                row.applications,
                row.psnr_equilibrium,
                s=55,
                facecolors="none",
                edgecolors=[colour],
                marker=marker,
            )
        ax.axhline(part["psnr_measurement"].mean(), color="0.4", lw=1, ls=":")
        ax.annotate(
            "measurement",
            (0.98, part["psnr_measurement"].mean()),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
            color="0.35",
        )
        ax.set(
            xscale="log",
            xlabel="applications of T in a forward pass",
            ylabel="PSNR on test images (dB)",
            title=task,
        )
        ax.yaxis.set_major_locator(MaxNLocator(6))
        ax.grid(alpha=0.3)
    shared_legend(figure, axes, "filled: as trained\nhollow: at equilibrium")
    figure.tight_layout()
    return figure


def memory_against_depth(frame: pd.DataFrame) -> Figure:
    """Bytes that autograd saved against the applications of a forward pass, log–log."""
    means = means_of(frame).dropna(subset=["saved_mib"])
    tasks = list(means["heading"].unique())
    figure, axes = facets(len(tasks))
    for ax, task in zip(axes, tasks, strict=True):
        part = means[means["heading"] == task].sort_values("applications")
        sns.scatterplot(part, x="applications", y="saved_mib", s=55, ax=ax, **style_of(means))
        ax.set(
            xscale="log",
            yscale="log",
            xlabel="applications of T in a forward pass",
            ylabel="tape (MiB)",
            title=task,
        )
        ax.margins(x=0.16, y=0.12)
        number_log(ax.xaxis)
        number_log(ax.yaxis)
        ax.grid(alpha=0.3, which="both")
        name_points(ax, part, "applications", "saved_mib")
    shared_legend(figure, axes, "estimator")
    figure.tight_layout()
    return figure


def psnr_past_depth(seen: pd.DataFrame) -> Figure:
    """PSNR of the learned operator against multiples of the depth that was trained, a line a solver."""
    means = past_depth(seen)  # a line ends where a seed diverges
    tasks = list(means["heading"].unique())
    figure, axes = facets(len(tasks))
    style = style_of(means)
    for ax, task in zip(axes, tasks, strict=True):
        part = means[means["heading"] == task]
        sns.lineplot(
            part, x="multiple", y="psnr", units="solver", estimator=None, dashes=False, lw=1.2, ax=ax, **style
        )
        ax.set(
            xscale="log",
            xlabel="iterations, as multiples of the trained depth",
            ylabel="PSNR (dB)",
            title=task,
        )
        # A curve that falls off the page tells enough; the others must stay readable.
        best = part["psnr"].max()
        bottom = max(part["psnr"].min() - 0.3, best - 12)
        ax.set_ylim(bottom=bottom, top=best + 0.5)
        ax.margins(x=0.16)
        ax.grid(alpha=0.3)
        # Each line is named where it ends, or leaves the page.
        name_points(ax, part[part["psnr"] > bottom].groupby("solver", sort=False).tail(1), "multiple", "psnr")
    shared_legend(figure, axes, "estimator")
    figure.tight_layout()
    return figure


def panels(
    frame: pd.DataFrame,
    pictures: dict[tuple[str, str], dict[str, np.ndarray]],
    task: str,
    words: dict[tuple[str, str], str],
) -> Figure:
    """Truth, measurement, and for each family its highest PSNR: as trained above, and below what ``words`` calls it."""
    means = means_of(frame)
    means = means[means["heading"] == task]
    means = means[[(task, solver) in pictures for solver in means["solver"]]]
    best = means.sort_values("psnr", kind="stable").groupby("family", sort=False).tail(1)
    best = best.sort_values(
        "family", key=lambda names: names.map(lambda n: FAMILIES.index(n) if n in FAMILIES else 99)
    )
    first = pictures[task, best["solver"].iloc[0]]
    columns = 1 + len(best)
    figure, axes = plt.subplots(2, columns, figsize=(2.1 * columns, 5.2), squeeze=False, layout="constrained")
    shown = [("truth", first["truth"], axes[0, 0]), ("measurement", first["measurement"], axes[1, 0])]
    for column, row in enumerate(best.itertuples(), start=1):
        picture = pictures[task, row.solver]
        for line, name in enumerate(("trained", "equilibrium")):
            title = row.solver if line == 0 else words.get((task, row.solver), "at equilibrium")
            title = textwrap.fill(title, PANEL)
            title += f"\n{_psnr(picture['truth'], picture[name]):.2f} dB"
            shown.append((title, picture[name], axes[line, column]))
    for title, image, ax in shown:
        grey = image.shape[0] == 1
        ax.imshow(
            image[0] if grey else image.transpose(1, 2, 0), cmap="gray" if grey else None, vmin=0, vmax=255
        )
        ax.set_title(title, fontsize=8)
        ax.axis("off")
    axes[1, 0].set_title(f"measurement\n{_psnr(first['truth'], first['measurement']):.2f} dB", fontsize=8)
    figure.suptitle(
        f"{task}: of each family what has the highest PSNR as trained, one test image", fontsize=10
    )
    return figure


def _psnr(truth: np.ndarray, image: np.ndarray) -> float:
    error = np.mean((truth.astype(float) - image.astype(float)) ** 2) / 255**2
    return float(-10 * np.log10(error)) if error else float("inf")


def write_figures(
    frame: pd.DataFrame,
    seen: pd.DataFrame,
    looked: pd.DataFrame,
    sizes: pd.DataFrame,
    pictures: dict[tuple[str, str], dict[str, np.ndarray]],
    words: dict[tuple[str, str], str],
    folder: Path,
) -> list[Path]:
    """Draw every figure that there are measurements for, as PNG, PDF and SVG; the same rows give the same bytes.

    Args:
        frame, seen, looked: the tables of ``frame.tidy``, ``frame.trajectories`` and ``frame.looks``.
        sizes: that of ``growth.sizes``.
        pictures: by heading and solver.
        words: what the image at the equilibrium is called, by heading and solver.
        folder: made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (frame["status"] == "ok").any():
        return []
    with mpl.rc_context(RC):
        mpl.use("agg")
        drawn: dict[str, Figure | None] = {
            "memory-against-depth": memory_against_depth(frame),
            "error-against-cost": error_against_cost(frame),
        }
        if len(found := points(frame)):
            drawn["pareto"] = figure_curves.pareto(found)
        drawn["psnr-against-depth"] = psnr_against_depth(frame)
        if len(seen):
            drawn["psnr-past-depth"] = psnr_past_depth(seen)
        if len(looked):
            drawn["psnr-against-work"] = figure_curves.learning(looked)
        drawn["growth"] = figure_curves.growth(sizes)
        for heading in frame["heading"].unique():
            if any(h == heading for h, _ in pictures):
                drawn[f"panels-{slug(heading)}"] = panels(frame, pictures, heading, words)
        return [
            file
            for name, figure in drawn.items()
            if figure is not None
            for file in save_figure(figure, name, folder)
        ]
