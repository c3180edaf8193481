"""Statistics over the seeds of a task and the draws of a seed. A missing seed makes a mean NaN, not better."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportReturnType=false
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..measurement.hypergradient import TOLERANCE
from .metrics import ERROR


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column of numbers; NaN if the records are older than it."""
    if name not in frame:
        return pd.Series(math.nan, index=frame.index, dtype=float)
    return frame[name].astype(float)


def largest_over_seeds(frame: pd.DataFrame) -> float:
    """The largest gradient error over rows and draws; NaN if a row has none."""
    errors = column(frame, ERROR)
    return float(np.maximum(errors, column(frame, f"{ERROR}_worst").fillna(errors)).max(skipna=False))


def smallest(frame: pd.DataFrame) -> float:
    """The smallest gradient error over rows and draws; NaN if a row has none."""
    errors = column(frame, ERROR)
    return float(np.minimum(errors, column(frame, f"{ERROR}_least").fillna(errors)).min(skipna=False))


def known_to(part: pd.DataFrame) -> float:
    """Relative error of the reference gradients of a task, the largest over seeds; smaller errors are not ranked.

    Older records know only that the residuals of the reference are below ``hypergradient.TOLERANCE``.
    """
    errors = column(part, "oracle_error")
    errors = errors[np.isfinite(errors)]
    return float(errors.max()) if len(errors) else TOLERANCE


def over_all(
    frame: pd.DataFrame, by: Sequence[str], values: Sequence[str], among: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Means over the seeds, one row per group; NaN if a seed of the heading is missing or has no value.

    A mean over the remaining seeds would reward a solver for failing on a hard one.

    Args:
        frame: one row per seed and group.
        by: columns that identify a group, ``heading`` among them.
        values: columns of numbers.
        among: everything that was run, which defines the seeds of a heading; ``frame`` by default.

    Returns:
        Columns ``by`` and ``values``; ``known``, the number of seeds with all of ``values``; ``seeds`` of the heading.
    """
    if frame.empty:
        return pd.DataFrame(columns=[*by, *values, "known", "seeds"])
    total = (frame if among is None else among).groupby("heading", sort=False)["seed"].nunique()
    known = frame[list(values)].notna().all(axis=1)
    groups = frame.assign(known=known).groupby(list(by), sort=False)
    means = groups[list(values)].agg(lambda numbers: numbers.mean(skipna=False))
    run = groups["seed"].nunique().to_numpy()
    means["known"] = groups["known"].sum().astype(int)
    means = means.reset_index()
    means["seeds"] = means["heading"].map(total).astype(int)
    means.loc[run < means["seeds"], list(values)] = math.nan
    return means


def past_depth(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves past the trained depth over the seeds of a task, one row per solver and multiple.

    Args:
        curves: rows of ``tidy.trajectories``.

    Returns:
        Columns ``heading, solver, family, multiple``; ``psnr``, the mean over seeds, NaN if one is missing or has
        diverged; ``residual``, the largest; ``said``, the PSNR as text, or why it is missing.
    """
    by = ["heading", "solver", "family", "multiple"]
    rows, groups = over_all(curves, by, ["psnr"]), curves.groupby(by, sort=False)
    rows["residual"] = groups["residual"].max().to_numpy()
    means = groups["psnr"].mean().to_numpy()
    diverged = groups["residual"].agg(lambda residuals: np.isinf(residuals).sum()).to_numpy()
    rows["said"] = [
        _psnr_text(mean, int(lost), int(known), int(seeds))
        for mean, lost, known, seeds in zip(means, diverged, rows["known"], rows["seeds"], strict=True)
    ]
    return rows


def _psnr_text(mean: float, diverged: int, known: int, seeds: int) -> str:
    if diverged:
        return "diverged" if diverged == seeds else f"diverged on {diverged} of {seeds}"
    if math.isnan(mean):
        return ""
    return f"{mean:.2f}" if known == seeds else f"{mean:.2f} ({known} of {seeds})"
