"""Records as a tidy table: one row a cell and seed, numbers as measured."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import mean, median

import numpy as np
import pandas as pd

from ..config.call_syntax import family
from ..external import is_external
from ..measurement.equilibrium import LOST
from ..records.record import Record

MIB = 2**20
WHO = ("task", "crop", "batch", "heading", "solver", "family", "peer", "seed")
"""The columns that say what a row is of."""
MEANS = {  # column -> list of per-image values in the record
    "psnr": "psnr_trained",
    "psnr_equilibrium": "psnr_equilibrium",
    "psnr_measurement": "psnr_measurement",
    "ssim": "ssim_trained",
    "ssim_equilibrium": "ssim_equilibrium",
}
FURTHER = {  # the same, of images that choose among solvers
    "psnr_validation": "psnr_validation_trained",
    "psnr_validation_equilibrium": "psnr_validation_equilibrium",
}
EQUILIBRIA = {  # residual -> the columns that mean nothing where it is none of an equilibrium
    "equilibrium_residual": ("psnr_equilibrium", "ssim_equilibrium"),
    "training_equilibrium_residual": ("training_loss_equilibrium",),
    "validation_equilibrium_residual": ("psnr_validation_equilibrium",),
}
PLAIN = (
    "hypergradient_cosine",
    "oracle_error",
    "certified",
    "residual",
    "applications",
    "vjps",
    "evaluations",
    "recorded",
    "converged",
    "contraction",
    "jacobian_norm",
    "jacobian_norm_residual",
    "stalls",
    "equilibrium_residual",
    "equilibrium_applications",
    "equilibrium_converged",
    "equilibrium_stays",
    "equilibrium_plain_residual",
    "equilibrium_plain_psnr",
    "training_loss_equilibrium",
    "panel_equilibrium_converged",
)


def tidy(records: Iterable[Record]) -> pd.DataFrame:
    """A row for each quality record, with the timing of its task, size and solver beside it.

    Columns: ``task``; ``crop`` (pixels a side) and ``batch``; ``heading``, the task with its size where the records
    have several sizes of it; ``solver, family``; ``peer``, whether the family is another library's; ``seed, status,
    reason``; PSNR in dB and SSIM averaged over the test images, at the
    trained depth and at equilibrium, and ``psnr_10`` and ``psnr_100`` at 10 and 100 times the trained depth (minus
    infinity: diverged); the gradient's relative error, as the mean over ``draws`` of the noise, the largest
    (``hypergradient_error_worst``) and the least (``hypergradient_error_least``), its cosine, and the
    error that the solver certified, if it did; ``oracle_error``, below which no error is known, and whether it is a
    ``certificate`` or an ``estimate`` (``oracle_basis``), which is at least the residuals that the reference leaves;
    what chooses among solvers without a look at the test images: ``training_loss_equilibrium``,
    ``psnr_validation`` and ``psnr_validation_equilibrium``; ``equilibrium_stays``,
    whether plain iteration stays at the equilibrium, and where it ends (``equilibrium_plain_psnr``,
    ``equilibrium_plain_residual``); ``panel_equilibrium_converged``, whether
    the image that is shown had settled; ``jacobian_norm`` at the equilibrium; counts, in whole batches;
    ``saved_mib`` and ``peak_mib``, and ``peak_requested_mib``, which is measured on CUDA alone; ``step_ms`` (median)
    and ``step_iqr_ms``; ``floor_ratio`` (median of paired ratios) and its interquartile range ``floor_iqr``;
    ``same_ratio``, the floor against itself. What was not measured is NaN, and so is what belongs to an equilibrium
    where none was found. Rows keep the order of the records.
    """
    everything = list(records)
    timings = timings_of(everything)
    shown = headings(everything)
    rows = [_row(r, timings.get(place(r)), shown) for r in everything if r.kind == "quality"]
    return pd.DataFrame(rows)


Place = tuple[str, int, int, str]
"""Task, crop, batch and solver: what a timing is of."""


def place(record: Record) -> Place:
    """What a record is of, apart from its seed."""
    return record.task, record.crop, record.batch, record.solver


def timings_of(records: Iterable[Record]) -> dict[Place, Record]:
    """The timings among the records, by what they are of."""
    return {place(r): r for r in records if r.kind == "cost"}


def headings(records: Iterable[Record]) -> dict[tuple[str, int, int], str]:
    """What a task of a size is headed with: its size only where the records have several sizes of it."""
    sizes: dict[str, set[tuple[int, int]]] = {}
    for record in records:
        sizes.setdefault(record.task, set()).add((record.crop, record.batch))
    return {
        (task, crop, batch): f"{task} · {crop}² × {batch}" if len(several) > 1 else task
        for task, several in sizes.items()
        for crop, batch in several
    }


def _who(record: Record, shown: dict[tuple[str, int, int], str]) -> dict[str, object]:
    """The columns that say what a row is of."""
    name = family(record.solver)
    return {
        "task": record.task,
        "crop": record.crop,
        "batch": record.batch,
        "heading": shown[record.task, record.crop, record.batch],
        "solver": record.solver,
        "family": name,
        "peer": is_external(name, bool(record.settings.get("files"))),
        "seed": record.seed,
    }


def _row(record: Record, timing: Record | None, shown: dict[tuple[str, int, int], str]) -> dict[str, object]:
    values = record.values
    nan = float("nan")

    def number(name: str) -> float:
        found = values.get(name)
        return nan if found is None else float(found)

    row = _who(record, shown) | {"status": record.status, "reason": record.reason}
    for column, name in (MEANS | FURTHER).items():
        known = [value for value in values.get(name) or [] if value is not None]
        row[column] = mean(known) if known else nan
    row |= {name: number(name) for name in PLAIN} | _errors(record)
    row["oracle_basis"] = basis = str(values.get("oracle_basis") or "")
    if "estimate" in basis:
        # Estimates of older records may lie below the residuals, even at 0; see ``bench.measurement.hypergradient``.
        left = number("oracle_residual"), number("oracle_adjoint_residual")
        row["oracle_error"] = max(number("oracle_error"), *left)
    tolerance = record.settings.get("equilibrium", {}).get("tol", nan)
    for residual, columns in EQUILIBRIA.items():
        # An equilibrium that is not known, or a record of before there was one to know: old ones have no validation.
        if number(residual) > LOST * tolerance:
            row |= dict.fromkeys(columns, nan)
    past = _past(record)
    row |= {f"psnr_{multiple}": _or_diverged(*past.get(multiple, (nan, nan))) for multiple in (10, 100)}
    # Solvers are compared image by image. An array, as Parquet gives it back; a PSNR that is not finite is None before.
    row["psnr_validation_images"] = np.array(values.get("psnr_validation_equilibrium") or [], dtype=float)
    row["saved_mib"] = number("saved_bytes") / MIB
    row["peak_mib"] = number("peak_bytes") / MIB
    row["peak_requested_mib"] = number("peak_requested_bytes") / MIB
    seconds = timing.values.get("seconds") if timing else None
    row |= dict.fromkeys(("step_ms", "step_iqr_ms", "floor_ratio", "floor_iqr", "same_ratio"), nan)
    if timing and seconds:
        row["step_ms"] = 1e3 * median(seconds)
        row["step_iqr_ms"] = 1e3 * _iqr(seconds)
        row["floor_ratio"] = median(timing.values["ratios"])
        row["floor_iqr"] = _iqr(timing.values["ratios"])
        row["same_ratio"] = median(timing.values["ratios_of_floor"])
    return row


def _errors(record: Record) -> dict[str, object]:
    """The gradient's error over the draws of the noise: mean, largest, least; infinite where it diverged on one."""
    values = record.values
    errors, statuses = values.get("hypergradient_errors"), values.get("hypergradient_draws")
    if not errors or not statuses:  # a record of before there were draws
        errors, statuses = [values.get("hypergradient_error")], ["ok"]
    found = [
        (math.nan if status in ("ok", "no reference") else math.inf) if error is None else float(error)
        for error, status in zip(errors, statuses, strict=True)
    ]
    unknown = any(math.isnan(error) for error in found)
    return {
        "hypergradient_error": math.nan if unknown else mean(found),
        "hypergradient_error_worst": math.nan if unknown else max(found),
        "hypergradient_error_least": math.nan if unknown else min(found),
        "draws": len(found),
    }


def trajectories(records: Iterable[Record]) -> pd.DataFrame:
    """A row for each look at an iterate past the trained depth.

    Columns: those of ``tidy`` that say what a row is of; ``multiple`` (of the trained depth), ``psnr`` (dB,
    averaged over the test images; NaN once the iterate has diverged) and ``residual`` (infinite then).
    """
    everything = list(records)
    shown = headings(everything)
    rows = [
        _who(record, shown) | {"multiple": multiple, "psnr": psnr, "residual": residual}
        for record in everything
        if record.kind == "quality" and record.status == "ok"
        for multiple, (psnr, residual) in _past(record).items()
    ]
    return pd.DataFrame(rows, columns=[*WHO, "multiple", "psnr", "residual"])


def looks(records: Iterable[Record]) -> pd.DataFrame:
    """A row for each look at the test images in the course of a training.

    Columns: those of ``tidy`` that say what a row is of; ``step``, and ``work`` (applications + VJPs) and ``seconds``
    until then (NaN where a step was not timed); ``psnr`` of the solver's own reconstructions in dB.
    """
    everything = list(records)
    shown, timings = headings(everything), timings_of(everything)
    rows: list[dict[str, object]] = []
    for record in everything:
        if record.kind != "quality" or record.status != "ok" or not record.values.get("look_steps"):
            continue
        timing = timings.get(place(record))
        each = timing.values.get("seconds") if timing else None
        step_seconds = median(each) if each else float("nan")
        seen = (record.values[name] for name in ("look_steps", "look_work", "look_psnr"))
        for step, work, psnr in zip(*seen, strict=True):
            found = {"step": step, "work": work, "seconds": step * step_seconds}
            rows.append(_who(record, shown) | found | {"psnr": float("nan") if psnr is None else psnr})
    return pd.DataFrame(rows, columns=[*WHO, "step", "work", "seconds", "psnr"])


def _past(record: Record) -> dict[int, tuple[float, float]]:
    """PSNR and residual by multiples of the trained depth, as far as the iteration went."""
    depths = record.values.get("past_depths") or []
    seen = zip(record.values.get("past_psnr") or [], record.values.get("past_residuals") or [], strict=True)
    return {
        depth // depths[0]: (
            float("nan") if psnr is None else psnr,
            float("inf") if residual is None else residual,
        )
        for depth, (psnr, residual) in zip(depths, seen, strict=True)
    }


def _or_diverged(psnr: float, residual: float) -> float:
    """The PSNR; minus infinity where the iterate has diverged, NaN where nobody looked."""
    return -math.inf if residual == math.inf else psnr


def _iqr(values: list[float]) -> float:
    quartiles = pd.Series(values).quantile([0.25, 0.75])
    return float(quartiles.iloc[1] - quartiles.iloc[0])
