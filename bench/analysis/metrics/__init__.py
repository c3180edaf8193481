"""Every measured quantity of a cell: whatever ``bench.measurement`` stores becomes a column by one entry here."""

from __future__ import annotations

from .costs import COSTS
from .equilibrium import EQUILIBRIUM
from .gradient import ERROR, ERRORS, STEP
from .images import IMAGES, PAST_DEPTH
from .metric import Column, Metric, Table, Tolerance
from .readers import MIB, depth_curve

METRICS: tuple[Metric, ...] = (*IMAGES, *STEP, *EQUILIBRIUM, *ERRORS, *PAST_DEPTH, *COSTS)
"""In the order of the columns of ``cells.csv``. Use it as ``metrics.METRICS``, so that tests can replace it."""


def named(name: str) -> Metric:
    """The metric of that name."""
    return next(metric for metric in METRICS if metric.name == name)


def in_table(table: Table) -> list[Metric]:
    """Metrics of a printed table, in the order of its columns."""
    return sorted((m for m in METRICS if table in m.columns), key=lambda m: m.columns[table].position)


def printed() -> list[Metric]:
    """Metrics of any printed table, each once: those of the results, then the others."""
    return list({metric.name: metric for table in Table for metric in in_table(table)}.values())


__all__ = [
    "ERROR",
    "METRICS",
    "MIB",
    "Column",
    "Metric",
    "Table",
    "Tolerance",
    "depth_curve",
    "in_table",
    "named",
    "printed",
]
