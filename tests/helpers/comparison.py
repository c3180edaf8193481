"""Stored runs with changed values, and the changes reported for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.analysis.tidy import place
from bench.comparison import (
    Outcome,
    StoredRun,
)

QUICK = Path(__file__).parents[2] / "results" / "reference" / "depths-cpu"

ONE = ("inpainting(huber)", 64, 2, "unrolled(10)")


def with_values(run, change, only=lambda record: True):
    """The run with ``change`` applied to the values of some of its records."""
    records = []
    for record in run.records:
        if only(record):
            values = dict(record.values)
            change(values)
            record = replace(record, values=values)
        records.append(record)
    return StoredRun("changed", tuple(records))


def of_one(kind="quality", seed=0):
    return lambda r: r.kind == kind and place(r) == ONE and (kind == "cost" or r.seed == seed)


def loud(comparison, part=None):
    return [
        change
        for change in comparison.changes
        if change.verdict not in (Outcome.SAME, Outcome.NOISE) and part in (None, change.part)
    ]


def slowed(values, by=1.3):
    values["seconds"] = [by * s for s in values["seconds"]]
    values["ratios"] = [by * s for s in values["ratios"]]
