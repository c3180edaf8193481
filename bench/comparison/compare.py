"""Everything that is said of a run against a reference, and of a solver against another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..utils.errors import UserError
from .change import Difference
from .counts import counts
from .pairing import PairedRecords, StoredRun, pairs, solvers, warnings
from .quality import quality
from .significance import VarianceEstimate
from .timing import TOLERANCE, GeometricMeans, against, drift, times
from .values import MetricComparison, values


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run against one reference.

    Attributes:
        run, reference: what is looked at, and what it is held against.
        paired: their records.
        changes: every number of every cell, part by part; of the values, those that disagree.
        columns: what of the values was held; empty for two solvers.
        overall: the time over all cells, and over those of each task; empty where fewer than two were timed on both
            sides, and for two solvers.
        drift: for two solvers of one run, how far the machine moved between two timings.
        warnings: what to know first, a line each.
    """

    run: StoredRun
    reference: StoredRun
    paired: PairedRecords
    changes: tuple[Difference, ...]
    columns: tuple[MetricComparison, ...]
    overall: tuple[GeometricMeans, ...]
    drift: VarianceEstimate | None
    warnings: tuple[str, ...]


def compare_runs(
    run: StoredRun, references: Sequence[StoredRun], tolerance: float = TOLERANCE
) -> list[Comparison]:
    """A run against each of the references.

    Args:
        run: the one that is looked at.
        references: what it is held against, one at a time.
        tolerance: a change of the time that is not counted, 0.02 for 2 %.

    Raises:
        UserError: no reference; or one has no cell in common with the run, or none under the same settings.
    """
    if not references:
        raise UserError(
            f"{run.label} alone: name a second run, or two solvers of it by --solver and --against"
        )
    return [_against(run, reference, tolerance) for reference in references]


def _against(run: StoredRun, reference: StoredRun, tolerance: float) -> Comparison:
    paired = pairs(run, reference)
    held, columns = values(paired)
    timed, overall = times(paired, tolerance)
    changes = (*held, *timed, *counts(paired), *quality(paired))
    told = tuple(warnings(run, reference, paired))
    return Comparison(run, reference, paired, changes, tuple(columns), tuple(overall), None, told)


def compare_solvers(run: StoredRun, solver: str, other: str, tolerance: float = TOLERANCE) -> Comparison:
    """Two solvers of one run, paired by task, size, seed and image; ``solver`` is the one that is looked at.

    Raises:
        UserError: the run does not have one of them, they are the same, or have no cell in common.
    """
    one, two = solvers(run, solver, other)
    paired = pairs(one, two)
    moved = drift(run.records)
    changes = (*against(paired, tolerance, moved), *counts(paired), *quality(paired))
    return Comparison(one, two, paired, changes, (), (), moved, tuple(warnings(one, two, paired)))
