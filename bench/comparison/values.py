"""Values that no machine should change, compared cell by cell with their tolerances."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from solvers import ESTIMATORS

from ..analysis import metrics
from ..analysis.metric import Tolerance
from ..analysis.tidy import place
from ..config.call_syntax import family
from ..records.record import Record
from .change import Aspect, Difference, Outcome
from .pairing import PairedRecords


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One metric over all cells: its tolerance, the largest difference, and how many cells are beyond."""

    name: str
    tolerance: str
    cells: int
    largest: float
    beyond: int


def is_adaptive(name: str) -> bool:
    """Whether a solver's counts may differ between machines: it stops by a tolerance, or is not ours."""
    return name not in ESTIMATORS or ESTIMATORS[name].adaptive


def values(paired: PairedRecords) -> tuple[list[Difference], list[MetricComparison]]:
    """Cells that are missing, values beyond their tolerance and other statuses; and a summary of each metric."""
    changes = [_change(one, "cell", Outcome.MISSING, why) for one, why in paired.lost("quality")]
    both, columns = paired.of("quality"), []
    for metric in metrics.METRICS:
        if metric.tolerance is None:
            continue
        largest, beyond = 0.0, 0
        for record, reference in both:
            fixed = metric.exact_at_fixed_depth and not is_adaptive(family(record.solver))
            tolerance = Tolerance() if fixed else metric.tolerance
            found, expected = float(metric.value(record)), float(metric.value(reference))
            if math.isfinite(found) and math.isfinite(expected):
                largest = max(largest, abs(found - expected))
            if not tolerance.admits(found, expected):
                beyond += 1
                known = not math.isnan(found) and not math.isnan(expected)
                why = f"beyond the tolerance: {tolerance}" if known else "known on one side only"
                change = _change(record, metric.name, Outcome.CHANGED, why)
                difference = found - expected if known else None
                changes.append(replace(change, found=found, expected=expected, change=difference))
        columns.append(MetricComparison(metric.name, str(metric.tolerance), len(both), largest, beyond))
    for record, reference in both:
        if record.status != reference.status:
            reason = record.reason or reference.reason
            why = f"{record.status} here, {reference.status} there" + (f": {reason}" if reason else "")
            changes.append(_change(record, "status", Outcome.CHANGED, why))
    return changes, columns


def _change(record: Record, quantity: str, verdict: Outcome, why: str) -> Difference:
    return Difference(
        part=Aspect.VALUES,
        quantity=quantity,
        place=place(record),
        seed=record.seed,
        verdict=verdict,
        why=why,
    )
