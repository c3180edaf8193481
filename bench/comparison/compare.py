"""Compare a run with references, or a solver with another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..utils.errors import UserError
from .change import Difference
from .pairing import PairedRecords, StoredRun, pairs, solver_pair, warnings
from .quality import memory, quality
from .significance import VarianceEstimate
from .timing import TOLERANCE, GeometricMeans, against, drift, times
from .values import MetricComparison, values


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run against one reference.

    Attributes:
        run, reference: the two runs, or the records of two solvers of one run.
        paired: their records.
        changes: every number of every cell, by aspect; of the values, only those that disagree.
        columns: metrics that were compared as values; empty for two solvers.
        overall: time over all cells and over each task; empty for fewer than two timed cells, and for two solvers.
        drift: for two solvers, the variance of the machine's speed between two timings.
        warnings: what a reader has to know first, one line each.
    """

    run: StoredRun
    reference: StoredRun
    paired: PairedRecords
    changes: tuple[Difference, ...]
    columns: tuple[MetricComparison, ...] = ()
    overall: tuple[GeometricMeans, ...] = ()
    drift: VarianceEstimate | None = None
    warnings: tuple[str, ...] = ()


def compare_runs(
    run: StoredRun, references: Sequence[StoredRun], tolerance: float = TOLERANCE
) -> list[Comparison]:
    """Compare a run with each of the references.

    Args:
        run: the run in question.
        references: compared with it one at a time.
        tolerance: relative change of the time that does not count, 0.02 for 2 %.

    Raises:
        UserError: there is no reference, or one has no cell in common with the run, or none under the same settings.
    """
    if not references:
        raise UserError(
            f"{run.label} alone: name a second run, or two solvers of it by --solver and --against"
        )
    return [_with_reference(run, reference, tolerance) for reference in references]


def _with_reference(run: StoredRun, reference: StoredRun, tolerance: float) -> Comparison:
    paired = pairs(run, reference)
    disagreements, columns = values(paired)
    timed, overall = times(paired, tolerance)
    return Comparison(
        run,
        reference,
        paired,
        changes=(*disagreements, *timed, *memory(paired), *quality(paired)),
        columns=tuple(columns),
        overall=tuple(overall),
        warnings=tuple(warnings(run, reference, paired)),
    )


def compare_solvers(run: StoredRun, solver: str, other: str, tolerance: float = TOLERANCE) -> Comparison:
    """Compare ``solver`` with ``other`` in one run, paired by task, size, seed and image.

    Raises:
        UserError: the run lacks one of them, they are the same, or have no cell in common.
    """
    one, two = solver_pair(run, solver, other)
    paired, moved = pairs(one, two), drift(run.records)
    return Comparison(
        one,
        two,
        paired,
        changes=(*against(paired, tolerance, moved), *memory(paired), *quality(paired)),
        drift=moved,
        warnings=tuple(warnings(one, two, paired)),
    )
