"""Plots of the PSNR of test images; pure functions of the tables of a run."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import pandas as pd

from ..analysis.over_seeds import over_all, past_depth
from ..analysis.pareto import TRAINING, CostAxis
from .plot import (
    Axis,
    Layer,
    Panel,
    Plot,
    Styles,
    at,
    by_heading,
    ends,
    level,
    linear_axis,
    log_axis,
    names,
    wrapped,
)

APPLICATIONS = "applications of T in a forward pass"
TEST_PSNR = "PSNR on test images (dB)"
PAST_DEPTH = 12
"""dB below the best of a task where a plot past the trained depth ends: who falls further is off the plot."""
LEARNING = 8
"""The same in the course of a training."""


def psnr_against_depth(means: pd.DataFrame, styles: Styles) -> Plot:
    """PSNR at the trained depth (filled) and at equilibrium (hollow) against the applications of a forward pass.

    Args:
        means: of ``plot.means_of``.
        styles: of their families.
    """
    means = at(means, "applications", "psnr").dropna(subset=["x", "y"])
    panels = (_depth_panel(heading, rows) for heading, rows in by_heading(means))
    legend = "filled: as trained\nhollow: at equilibrium"
    return Plot("psnr-against-depth", wrapped(panels), styles, legend)


def _depth_panel(heading: str, trained: pd.DataFrame) -> Panel:
    settled = trained.assign(y=trained["psnr_equilibrium"]).dropna(subset=["y"])
    measurement = float(trained["psnr_measurement"].mean())
    x = log_axis(APPLICATIONS, trained["x"])
    y = linear_axis(TEST_PSNR, [*trained["y"], *settled["y"], measurement])
    layers = (
        Layer("guides", pd.concat([trained, settled]).assign(line=lambda rows: rows["solver"]), line="thin"),
        level(measurement, x, label="measurement", line="dotted"),
        Layer("points", trained, fill="filled"),
        Layer("points", settled, fill="hollow"),
    )
    return Panel(heading, x, y, layers)


def psnr_past_depth(past: pd.DataFrame, styles: Styles) -> Plot:
    """PSNR of the learned operator against multiples of the depth that was trained, a line a solver.

    Args:
        past: of ``tidy.trajectories``. PSNR is averaged over seeds, and a line ends where one of them is missing or
            diverges.
    """
    means = past_depth(past)
    panels = (_past_panel(heading, rows) for heading, rows in by_heading(means) if rows["psnr"].notna().any())
    return Plot("psnr-past-depth", wrapped(panels), styles)


def _past_panel(heading: str, means: pd.DataFrame) -> Panel:
    rows = at(means, "multiple", "psnr").dropna(subset=["y"])
    rows = rows.assign(
        PSNR=rows["psnr"].map("{:.2f} dB".format),
        residual=rows["residual"].map("{:.1e}".format),
        depth=rows["multiple"].map("{:.0f} × as deep as trained".format),
    )
    title = "iterations, as multiples of the trained depth"
    x = log_axis(title, rows["x"], margin=0.12, unit="×", fixed=sorted(rows["x"].unique()))
    y = linear_axis("PSNR (dB)", rows["y"], below=PAST_DEPTH)
    best, fallen = rows["y"].max(), sorted(set(rows.loc[rows["y"] < y.low, "solver"]))
    diverged = dict.fromkeys(means.loc[means["said"].str.startswith("diverged"), "solver"])
    description = (
        f"{heading}: PSNR against {title}, of {rows['solver'].nunique()} estimators, up to {best:.2f} dB."
        + (f" Off the plot below: {', '.join(fallen)}." if fallen else "")
        + (f" A line ends where a seed diverges: {', '.join(diverged)}." if diverged else "")
    )
    layers = (
        Layer("lines", rows),
        Layer("points", rows, small=True, tooltip=("depth", "PSNR", "residual")),
        names(_apart(rows, y)),
    )
    return Panel(heading, x, y, layers, description)


def _apart(rows: pd.DataFrame, y: Axis) -> pd.DataFrame:
    """Where solvers end or leave the plot, as far as their names have room beside each other."""
    kept: list[int] = []
    for index, row in ends(rows[rows["y"] >= y.low]).sort_values("y").iterrows():
        if not kept or row["y"] - rows.loc[kept[-1], "y"] > 0.07 * (y.high - y.low):
            kept.append(index)
    return rows.loc[kept]


def psnr_against_work(looked: pd.DataFrame, styles: Styles) -> Plot:
    """PSNR on the test images against the work, and the seconds, of the training so far; a line a solver.

    Args:
        looked: of ``tidy.looks``.
    """
    by = ["heading", "solver", "family", "peer", "step"]
    means = over_all(looked, by, ["psnr", "work"]).dropna(subset=["psnr"])
    seconds = looked.groupby(by, sort=False)["seconds"].mean().reset_index()
    means = means.merge(seconds, on=by, how="left")
    costs = [cost for cost in TRAINING if means[cost.name].notna().any()]
    grid = tuple(
        tuple(_learning_panel(at(part, cost.name, "psnr"), heading, cost) for cost in costs)
        for heading, part in by_heading(means)
    )
    return Plot("psnr-against-work", grid, styles, size=(5, 3.7))


def _learning_panel(rows: pd.DataFrame, heading: str, cost: CostAxis) -> Panel:
    x = log_axis(f"{cost.title} of the training so far", rows["x"])
    y = linear_axis(TEST_PSNR, rows["y"], below=LEARNING)
    timed = rows.dropna(subset=["x"])
    layers = (
        level(rows["y"].max() - 0.1, x, legend="best − 0.1 dB"),
        Layer("lines", timed),
        Layer("points", timed, small=True),
        names(ends(timed[timed["y"] > y.low])),
    )
    return Panel(heading, x, y, layers)
