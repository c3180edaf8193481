"""Records as tidy tables, one row per observation, numbers as measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

import pandas as pd

from ..config.call_syntax import family
from ..external import is_external
from ..records.record import Record
from . import metrics
from .record_values import depth_curve

WHO = ("task", "crop", "batch", "heading", "solver", "operator", "family", "peer", "seed")
"""Columns that identify a row."""
Place = tuple[str, int, int, str]
"""Task, crop, batch and solver: what a timing is of."""
Headings = dict[tuple[str, int, int], str]
"""Heading of each task, crop and batch."""


def tidy(records: Iterable[Record]) -> pd.DataFrame:
    """One row per record of quality, in their order, with the timing of its task, size and solver.

    Columns: those of ``WHO``, where ``crop`` is in pixels a side, ``heading`` is the task, with its size if the records
    have several sizes of it, ``solver`` names its operator too unless that is forward–backward, and ``peer`` is true
    for solvers of other libraries; ``status`` and ``reason``; and every metric of ``metrics.METRICS``
    (docs/tables.md explains them), NaN where it was not measured.
    """
    records = list(records)
    timings, titles = timings_of(records), headings(records)
    rows = []
    for record in records:
        if record.kind == "quality":
            timing = timings.get(place(record))
            values = {metric.name: metric.value(record, timing) for metric in metrics.METRICS}
            rows.append(_who(record, titles) | {"status": record.status, "reason": record.reason} | values)
    return pd.DataFrame(rows)


def place(record: Record) -> Place:
    """Everything that identifies the cell of a record, apart from its seed."""
    return record.task, record.crop, record.batch, record.method


def timings_of(records: Iterable[Record]) -> dict[Place, Record]:
    """The timings among the records, by place."""
    return {place(record): record for record in records if record.kind == "cost"}


def headings(records: Iterable[Record]) -> Headings:
    """Heading of every task and size; it names the size only if the records have several sizes of the task."""
    sizes: dict[str, set[tuple[int, int]]] = {}
    for record in records:
        sizes.setdefault(record.task, set()).add((record.crop, record.batch))
    return {
        (task, crop, batch): f"{task} · {crop}² × {batch}" if len(several) > 1 else task
        for task, several in sizes.items()
        for crop, batch in several
    }


def _who(record: Record, titles: Headings) -> dict[str, object]:
    solver = family(record.solver)
    return {
        "task": record.task,
        "crop": record.crop,
        "batch": record.batch,
        "heading": titles[record.task, record.crop, record.batch],
        "solver": record.method,
        "operator": record.operator,
        "family": family(record.method),
        "peer": is_external(solver, bool(record.settings.get("files"))),
        "seed": record.seed,
    }


def trajectories(records: Iterable[Record]) -> pd.DataFrame:
    """One row per recorded iterate at or past the trained depth.

    Columns: those of ``WHO``; ``multiple`` of the trained depth; ``psnr`` in dB, the mean over the test images, NaN
    once the iterate has diverged; and ``residual``, infinite then.
    """
    records = list(records)
    titles = headings(records)
    rows = [
        _who(record, titles) | {"multiple": multiple, "psnr": psnr, "residual": residual}
        for record in records
        if record.kind == "quality" and record.status == "ok"
        for multiple, (psnr, residual) in depth_curve(record.values).items()
    ]
    return pd.DataFrame(rows, columns=[*WHO, "multiple", "psnr", "residual"])


def looks(records: Iterable[Record]) -> pd.DataFrame:
    """One row per evaluation on the test images during training.

    Columns: those of ``WHO``; ``step``; ``work`` (applications + VJPs) and ``seconds`` of training until then, NaN if
    no step was timed; ``psnr`` in dB of the solver's own reconstructions.
    """
    records = list(records)
    titles, timings = headings(records), timings_of(records)
    rows: list[dict[str, object]] = []
    for record in records:
        if record.kind != "quality" or record.status != "ok" or not record.values.get("look_steps"):
            continue
        timing = timings.get(place(record))
        rounds = timing.values.get("seconds") if timing else None
        seconds = median(rounds) if rounds else math.nan
        columns = (record.values[name] for name in ("look_steps", "look_work", "look_psnr"))
        for step, work, psnr in zip(*columns, strict=True):
            row = {"step": step, "work": work, "seconds": step * seconds}
            rows.append(_who(record, titles) | row | {"psnr": math.nan if psnr is None else psnr})
    return pd.DataFrame(rows, columns=[*WHO, "step", "work", "seconds", "psnr"])
