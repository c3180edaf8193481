"""Records as a tidy table: one row a cell and seed, numbers as measured."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

from collections.abc import Iterable
from statistics import mean, median

import pandas as pd

from .records import Record

MIB = 2**20
MEANS = {  # column -> list of per-image values in the record
    "psnr": "psnr_trained",
    "psnr_equilibrium": "psnr_equilibrium",
    "psnr_measurement": "psnr_measurement",
    "ssim": "ssim_trained",
    "ssim_equilibrium": "ssim_equilibrium",
}
PLAIN = (
    "hypergradient_error",
    "hypergradient_cosine",
    "residual",
    "applications",
    "vjps",
    "recorded",
    "converged",
    "contraction",
    "equilibrium_residual",
    "equilibrium_applications",
    "equilibrium_converged",
)


def tidy(records: Iterable[Record]) -> pd.DataFrame:
    """A row for each quality record, with the timing of its task and solver beside it.

    Columns: ``task, solver, family, seed, status, reason``; PSNR in dB and SSIM averaged over the test images, at
    the trained depth and at equilibrium; the gradient's relative error and cosine; counts; ``saved_mib`` and
    ``peak_mib``; ``step_ms`` (median) and ``step_iqr_ms``; ``floor_ratio`` (median of paired ratios) and its
    interquartile range ``floor_iqr``; ``same_ratio``, the floor against itself. What was not measured is NaN. Rows
    keep the order of the records.
    """
    everything = list(records)
    timings = {(r.task, r.solver): r for r in everything if r.kind == "cost"}
    rows = [_row(r, timings.get((r.task, r.solver))) for r in everything if r.kind == "quality"]
    return pd.DataFrame(rows)


def _row(record: Record, timing: Record | None) -> dict[str, object]:
    values = record.values
    nan = float("nan")

    def number(name: str) -> float:
        found = values.get(name)
        return nan if found is None else float(found)

    row: dict[str, object] = {
        "task": record.task,
        "solver": record.solver,
        "family": record.solver.split("(")[0],
        "seed": record.seed,
        "status": record.status,
        "reason": record.reason,
    }
    for column, name in MEANS.items():
        known = [value for value in values.get(name) or [] if value is not None]
        row[column] = mean(known) if known else nan
    row |= {name: number(name) for name in PLAIN}
    row["saved_mib"] = number("saved_bytes") / MIB
    row["peak_mib"] = number("peak_bytes") / MIB
    seconds = timing.values.get("seconds") if timing else None
    row |= dict.fromkeys(("step_ms", "step_iqr_ms", "floor_ratio", "floor_iqr", "same_ratio"), nan)
    if timing and seconds:
        row["step_ms"] = 1e3 * median(seconds)
        row["step_iqr_ms"] = 1e3 * _iqr(seconds)
        row["floor_ratio"] = median(timing.values["ratios"])
        row["floor_iqr"] = _iqr(timing.values["ratios"])
        row["same_ratio"] = median(timing.values["ratios_of_floor"])
    return row


def _iqr(values: list[float]) -> float:
    quartiles = pd.Series(values).quantile([0.25, 0.75])
    return float(quartiles.iloc[1] - quartiles.iloc[0])
