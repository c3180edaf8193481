"""The plots of a run; pure functions of its tables."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import math

import numpy as np
import pandas as pd

from ..analysis.over_seeds import known_to
from ..analysis.pareto import COSTS, LEVELS, CostAxis, cheapest_rows, front, points
from ..analysis.scaling import LEAST
from .family_style import family_styles
from .plot import (
    Axis,
    Layer,
    Panel,
    Plot,
    Styles,
    at,
    by_heading,
    ends,
    guide,
    level,
    log_axis,
    means_of,
    names,
    wrapped,
)
from .psnr_plots import APPLICATIONS, psnr_against_depth, psnr_against_work, psnr_past_depth

CLIP = 1e-5
"""Smaller errors are drawn here in a figure, so that the levels asked for have the room."""


def run_plots(
    frame: pd.DataFrame, past: pd.DataFrame, looked: pd.DataFrame, sizes: pd.DataFrame
) -> list[Plot]:
    """Every plot that there are measurements for.

    Args:
        frame, past, looked: of ``tidy.tidy``, ``tidy.trajectories`` and ``tidy.looks``.
        sizes: of ``scaling.sizes``.
    """
    if not (frame["status"] == "ok").any():
        return []
    styles, means = family_styles(frame), means_of(frame)
    plots = (
        memory_against_depth(means, styles),
        error_against_cost(frame, means, styles),
        pareto(points(frame), styles),
        psnr_against_depth(means, styles),
        psnr_past_depth(past, styles),
        psnr_against_work(looked, styles),
        growth(sizes, styles),
    )
    return [plot for plot in plots if plot.panels]


def memory_against_depth(means: pd.DataFrame, styles: Styles) -> Plot:
    """MiB that autograd saved against the applications of a forward pass; ``means`` are those of ``means_of``."""
    means = at(means, "applications", "saved_mib").dropna(subset=["x", "y"])
    panels = (
        _named_points(rows, heading, APPLICATIONS, log_axis("tape (MiB)", rows["y"]))
        for heading, rows in by_heading(means)
    )
    return Plot("memory-against-depth", wrapped(panels), styles)


def error_against_cost(frame: pd.DataFrame, means: pd.DataFrame, styles: Styles) -> Plot:
    """Relative error of the gradient against applications + VJPs and against milliseconds of a training step.

    Args:
        frame: of ``tidy.tidy``.
        means: of ``means_of``, of that frame.
        styles: of its families.
    """
    known = means[np.isfinite(means["hypergradient_error"])]  # infinite where it diverged on a draw
    # Below the accuracy of the reference an error is not known to be any smaller.
    floors = {heading: known_to(part) for heading, part in frame.groupby("heading", sort=False)}
    errors = known.assign(error=known["hypergradient_error"].clip(lower=known["heading"].map(floors)))
    grid = []
    for cost, title in (("cost", "applications + VJPs of a training step"), ("step_ms", COSTS[1].title)):
        panels: dict[str, Panel | None] = dict.fromkeys(heading for heading, _ in by_heading(errors))
        for heading, rows in by_heading(at(errors, cost, "error").dropna(subset=["x"])):
            y = log_axis("relative error of the gradient", rows["y"], unit="%")
            panels[heading] = _named_points(rows, heading, title, y)
        if any(panels.values()):
            grid.append(tuple(panels.values()))
    if grid and len(grid[0]) > 3:  # tasks side by side while they fit a page, and else below each other
        grid = [*zip(*grid, strict=True)]
    return Plot("error-against-cost", tuple(grid), styles)


def _named_points(rows: pd.DataFrame, heading: str, title: str, y: Axis) -> Panel:
    layers = Layer("points", rows), names(rows.sort_values("x"))
    return Panel(heading, log_axis(title, rows["x"]), y, layers)


def pareto(points: pd.DataFrame, styles: Styles) -> Plot:
    """Error of the gradient against each cost of a training step, with the front and the cheapest to each level.

    Args:
        points: of ``pareto.points``.
    """
    grid = tuple(
        tuple(_front_panel(part.dropna(subset=[cost.name]), heading, cost) for cost in COSTS)
        for heading, part in by_heading(points)
    )
    return Plot("pareto", grid, styles)


def _front_panel(rows: pd.DataFrame, heading: str, cost: CostAxis) -> Panel | None:
    if rows.empty:  # none was timed
        return None
    texts = {
        c.title: rows[c.name].map(lambda value, c=c: c.show(value))
        for c in COSTS
        if rows[c.name].notna().all()
    }
    rows = at(rows, cost.name, "error").assign(
        **{"gradient error": rows["error"].map(lambda error: f"{100 * error:.3g} %"), **texts}
    )
    x = log_axis(cost.title, rows["x"], margin=0.1)
    y = log_axis("error of the gradient", [*rows["y"], *LEVELS, 1.0], unit="%", clip=CLIP)
    best = front(rows, cost.name)
    # On to the edges: no solver is cheaper than the first, and none dearer is needed for the error of the last.
    corners = [
        (best["x"].iloc[0], y.high),
        *zip(best["x"], best["y"], strict=True),
        (x.high, best["y"].iloc[-1]),
    ]
    cheapest = [cheapest_rows(rows[rows["error"] <= wanted], cost.name).head(1) for wanted in LEVELS]
    layers = (
        *(level(wanted, x, label=f"{100 * wanted:g} %") for wanted in LEVELS),
        Layer("guides", guide(corners), steps=True, legend="front"),
        Layer("points", rows, tooltip=("gradient error", *texts)),
        Layer("rings", pd.concat(cheapest).drop_duplicates("solver"), legend="cheapest to 10, 1, 0.1 %"),
        names(best[best["solver"].isin(_steps(best))]),
    )
    description = (
        f"{heading}: error of the gradient against {cost.title}, both logarithmic, of {len(rows)} estimators. "
        f"On the front, from cheap to exact: {', '.join(best['solver'])}."
    )
    return Panel(heading, x, y, layers, description)


def _steps(best: pd.DataFrame) -> list[str]:
    """The solvers of a front that are worth a name: each with at most half the error of the last that was named."""
    solvers, last = [], math.inf
    for solver, error in zip(best["solver"], best["error"], strict=True):
        if error <= last / 2:
            solvers.append(solver)
            last = error
    return solvers


def growth(sizes: pd.DataFrame, styles: Styles) -> Plot:
    """Seconds of a step and peak memory against the pixels of an image, a line a solver; a column a task and batch.

    Args:
        sizes: of ``scaling.sizes``; what was measured at fewer than three crops with the same batch is left out.
    """
    counts = sizes.groupby(["task", "batch", "solver"])["pixels"].transform("nunique")
    kept = sizes[counts.ge(LEAST)]
    columns = [
        tuple(
            _growth_panel(at(part, "pixels", name).dropna(subset=["y"]), f"{task}, batch {batch}", title)
            for name, title in (("seconds", "seconds of a training step"), ("peak_mib", "peak memory (MiB)"))
        )
        for (task, batch), part in kept.groupby(["task", "batch"], sort=False)
    ]
    return Plot("growth", tuple(zip(*columns, strict=True)), styles, size=(4.6, 3.6))


def _growth_panel(rows: pd.DataFrame, heading: str, title: str) -> Panel | None:
    if rows.empty:
        return None
    rows = rows.sort_values("x", kind="stable")
    x = log_axis("pixels of an image", rows["x"], margin=0.14, fixed=sorted(rows["x"].unique()), unit="²")
    start, end, low = rows["x"].min(), rows["x"].max(), 0.6 * rows["y"].min()
    proportional = [(start, low), (end, low * end / start)]
    layers = (
        Layer("guides", guide(proportional), line="dotted", legend="proportional"),
        Layer("lines", rows),
        Layer("points", rows, small=True),
        names(ends(rows)),
    )
    return Panel(heading, x, log_axis(title, [*rows["y"], *(y for _, y in proportional)]), layers)
