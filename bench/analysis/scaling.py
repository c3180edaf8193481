"""How the cost of a training step grows with the pixels of an image and with the batch: fitted exponents."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportIndexIssue=false
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

import numpy as np
import pandas as pd

from ..records.record import Record
from .tidy import tidy, timings_of

QUANTITIES = {
    "seconds": "seconds of a step",
    "peak_mib": "peak memory",
    "saved_mib": "tape",
    "work": "applications + VJPs",
}
LEAST = 3
"""Sizes that a line is fitted through, at least."""
RESAMPLES = 1000


def sizes(records: Iterable[Record]) -> pd.DataFrame:
    """One row per task, size and solver that ended well.

    Columns: ``task, crop, batch, solver, family, peer``; ``pixels`` of an image (crop²); ``rounds``, the seconds of
    every round, and ``seconds``, their median; ``peak_mib``, ``saved_mib`` and ``work`` (applications + VJPs), means
    over seeds. What was not measured is NaN, or an empty list.
    """
    records = list(records)
    rounds = {key: timing.values.get("seconds") or [] for key, timing in timings_of(records).items()}
    frame = tidy(record for record in records if record.kind == "quality" and record.status == "ok")
    rows = []
    for where, group in frame.groupby(["task", "crop", "batch", "solver"], sort=False) if len(frame) else ():
        means = group[["peak_mib", "saved_mib", "applications", "vjps"]].mean()
        seconds = rounds.get(where, [])
        rows.append(
            dict(zip(("task", "crop", "batch", "solver"), where, strict=True))
            | {
                "family": group["family"].iloc[0],
                "peer": bool(group["peer"].any()),
                "pixels": where[1] ** 2,
                "rounds": seconds,
                "seconds": median(seconds) if seconds else math.nan,
                "peak_mib": means["peak_mib"],
                "saved_mib": means["saved_mib"],
                "work": means["applications"] + means["vjps"],
            }
        )
    columns = ["task", "crop", "batch", "solver", "family", "peer", "pixels", "rounds", *QUANTITIES]
    return pd.DataFrame(rows, columns=columns)


def exponent(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """The p of ``y ≈ c xᵖ`` by least squares in log–log, and its standard error, NaN for fewer than three points.

    ``scipy.stats.linregress`` computes the error from 1 − r², which is rounding alone if the fit is nearly perfect.
    """
    u, v = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    u, v = u - u.mean(), v - v.mean()
    slope = float(u @ v / (u @ u))
    if len(u) < 3:
        return slope, math.nan
    return slope, float(np.sqrt(((v - slope * u) ** 2).sum() / (len(u) - 2) / (u @ u)))


def exponent_interval(x: Sequence[float], rounds: Sequence[Sequence[float]]) -> tuple[float, float]:
    """A 95 % interval of the exponent of the medians of ``rounds``: percentiles of a bootstrap with a fixed seed.

    ``scipy.stats.bootstrap`` gives the same numbers, but refuses a size with a single round.

    Args:
        x: sizes.
        rounds: seconds of every round at each size.
    """
    rng = np.random.default_rng(0)
    drawn = [np.median(rng.choice(np.asarray(r, float), (RESAMPLES, len(r))), axis=1) for r in rounds]
    u = np.log(np.asarray(x, float))
    u = u - u.mean()
    low, high = np.percentile(u @ np.log(np.stack(drawn)) / (u @ u), [2.5, 97.5])
    return float(low), float(high)


def transform_exponent(pixels: Sequence[float]) -> float:
    """Exponent that the same fit gives for ``n log n``, the cost of an FFT, at these sizes."""
    return exponent(pixels, [n * math.log(n) for n in pixels])[0]


def fitted_exponents(table: pd.DataFrame) -> pd.DataFrame:
    """Exponents of each task and solver, against pixels at a fixed batch and against the batch at a fixed crop.

    Args:
        table: rows of ``sizes``.

    Returns:
        Columns ``task, solver``; ``against`` (``pixels`` or ``batch``); ``fixed``, the batch or the crop that stays;
        ``sizes``, the crops or batches as text; ``quantity``; ``exponent`` and its ``standard_error``; ``low`` and
        ``high``, the interval from the rounds (NaN without rounds); ``expected``, the exponent of n log n over the same
        pixels, and 1 over batches. Lines through fewer than ``LEAST`` sizes are left out.
    """
    rows: list[dict[str, object]] = []
    for against, fixed, side in (("pixels", "batch", "crop"), ("batch", "crop", "batch")):
        for (task, value, solver), part in table.groupby(["task", fixed, "solver"], sort=False):
            part = part.sort_values(against)
            if len(part) < LEAST:
                continue
            row = {"task": task, "solver": solver, "against": against, "fixed": value}
            row["sizes"] = ", ".join(str(n) for n in part[side])
            row["expected"] = transform_exponent(list(part["pixels"])) if against == "pixels" else 1.0
            for quantity in QUANTITIES:
                measured = part[part[quantity] > 0]
                if len(measured) >= LEAST:
                    rows.append(row | {"quantity": quantity} | _fit(measured, against, quantity))
    columns = ["task", "solver", "against", "fixed", "sizes", "quantity", "exponent", "standard_error"]
    return pd.DataFrame(rows, columns=[*columns, "low", "high", "expected"])


def _fit(part: pd.DataFrame, against: str, quantity: str) -> dict[str, float]:
    x = list(part[against])
    slope, error = exponent(x, list(part[quantity]))
    low, high = exponent_interval(x, list(part["rounds"])) if quantity == "seconds" else (math.nan, math.nan)
    return {"exponent": slope, "standard_error": error, "low": low, "high": high}


def exponents_markdown(fitted: pd.DataFrame) -> str:
    """``fitted_exponents`` in Markdown: a table for each task and each thing that varies."""
    parts = []
    for (task, against, fixed), part in fitted.groupby(["task", "against", "fixed"], sort=False):
        pixels = against == "pixels"
        lines = []
        for (solver, measured), rows in part.groupby(["solver", "sizes"], sort=False):
            line = {"solver": solver, "crops" if pixels else "batches": measured}
            line |= {QUANTITIES[row.quantity]: _text(row) for row in rows.itertuples()}
            expected = f"{rows['expected'].iloc[0]:.3f}"
            lines.append(line | {"n log n" if pixels else "proportional": expected})
        text = pd.DataFrame(lines).fillna("—").to_markdown(index=False, disable_numparse=True)
        where = f"at batch {fixed}" if pixels else f"at {fixed}²"
        parts.append(f"## {task}, against {against} {where}\n\n{text}\n")
    return "\n".join(parts) + _LEGEND


def _text(row) -> str:
    error = "" if math.isnan(row.standard_error) else f" ± {row.standard_error:.2f}"
    rounds = "" if math.isnan(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
    return f"{row.exponent:.2f}{error}{rounds}"


_LEGEND = """
---
The exponent p of cost ≈ c sizeᵖ, by least squares in log–log, ± its standard error (how well a line fits), and in
brackets the 95 % interval from resampling the rounds of each timing. *n log n*: the exponent that the same fit gives
for an FFT over the same sizes. Seconds of a solver with a tolerance grow with its applications + VJPs too, so their
exponent is beside it.
"""
