"""What several seeds and draws make of a number: a mean over all of them, or none; the largest; how many there were."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from ..measurement.hypergradient import TOLERANCE


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """A column of numbers; NaN where the records are older than it."""
    if name not in frame:
        return pd.Series(math.nan, index=frame.index, dtype=float)
    return frame[name].astype(float)


def largest(frame: pd.DataFrame) -> float:
    """The largest relative error of a gradient over the rows and their draws; NaN if one of them has none."""
    errors = column(frame, "hypergradient_error")
    worst = column(frame, "hypergradient_error_worst").fillna(errors)
    return float(errors.where(errors.isna() | (errors > worst), worst).max(skipna=False))


def smallest(frame: pd.DataFrame) -> float:
    """The smallest of them; NaN if a row has none."""
    errors = column(frame, "hypergradient_error")
    least = column(frame, "hypergradient_error_least").fillna(errors)
    return float(errors.where(errors.isna() | (errors < least), least).min(skipna=False))


def over_all(
    frame: pd.DataFrame, by: Sequence[str], values: Sequence[str], among: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Means over the seeds, a row a group of ``by``; NaN where a seed of the heading is missing or has no value.

    A mean over the seeds that survived would make a solver better by failing.

    Args:
        frame: a row a seed and group.
        by: columns of a group; they include ``heading``.
        values: columns of numbers.
        among: all that was run, which says what seeds there are; ``frame`` by default.

    Returns:
        Columns ``by`` and ``values``; ``known``, the seeds with a value in every one of ``values``, and ``seeds``,
        those of the heading.
    """
    if frame.empty:
        return pd.DataFrame(columns=[*by, *values, "known", "seeds"])
    total = (frame if among is None else among).groupby("heading", sort=False)["seed"].nunique()
    known = frame[list(values)].notna().all(axis=1)
    groups = frame.assign(known=known).groupby(list(by), sort=False)
    found = groups[list(values)].agg(lambda each: each.mean(skipna=False))
    run = groups["seed"].nunique().to_numpy()
    found["known"] = groups["known"].sum().astype(int)
    found = found.reset_index()
    found["seeds"] = found["heading"].map(total).astype(int)
    found.loc[run < found["seeds"], list(values)] = math.nan
    return found


def known_to(part: pd.DataFrame) -> float:
    """The relative error of the reference gradients of a task, the largest over seeds; smaller errors are not ranked.

    Records that do not hold it know the residuals of the reference alone: ``oracle.TOLERANCE``, which is no error.
    """
    found = column(part, "oracle_error")
    told = found[found.map(math.isfinite)]
    return float(told.max()) if len(told) else TOLERANCE


def past_depth(seen: pd.DataFrame) -> pd.DataFrame:
    """What the seeds of a task make of the looks past the trained depth: a row a solver and multiple.

    Args:
        seen: that of ``frame.trajectories``.

    Returns:
        Columns ``heading, solver, family, multiple``; ``psnr``, the mean over seeds, NaN where one of them is missing
        or has diverged; ``residual``, the largest; ``said``, the PSNR as text, or what is missing.
    """
    by = ["heading", "solver", "family", "multiple"]
    found = over_all(seen, by, ["psnr"])
    groups = seen.groupby(by, sort=False)
    found["residual"] = groups["residual"].max().to_numpy()
    some, lost = (
        groups["psnr"].mean().to_numpy(),
        groups["residual"].agg(lambda each: (each == math.inf).sum()),
    )
    found["said"] = [
        _said(mean, int(gone), int(known), int(seeds))
        for mean, gone, known, seeds in zip(some, lost, found["known"], found["seeds"], strict=True)
    ]
    return found


def _said(mean: float, lost: int, known: int, seeds: int) -> str:
    if lost:
        return "diverged" if lost == seeds else f"diverged on {lost} of {seeds}"
    if math.isnan(mean):
        return ""
    return f"{mean:.2f}" if known == seeds else f"{mean:.2f} ({known} of {seeds})"
