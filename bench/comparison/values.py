"""Values that no machine should change, held cell by cell against stated tolerances."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false
from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from solvers import ESTIMATORS

from ..analysis.tidy import Place, place, tidy
from ..config.call_syntax import family
from .change import Aspect, Difference, Outcome
from .pairing import PairedRecords


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a column may lie from the reference: ``|a − b| ≤ absolute + relative·|b|``."""

    absolute: float = 0.0
    relative: float = 0.0

    def admits(self, found: float, reference: float) -> bool:
        """Whether ``found`` is within the tolerance; two missing values agree, one does not."""
        if pd.isna(found) or pd.isna(reference):
            return bool(pd.isna(found) and pd.isna(reference))
        if found == reference:  # infinite values too
            return True
        return abs(found - reference) <= self.absolute + self.relative * abs(reference)

    def __str__(self) -> str:
        parts = [f"{self.absolute:g}"] * bool(self.absolute) + [f"{self.relative:.0%}"] * bool(self.relative)
        return " + ".join(parts) or "exact"


TOLERANCES = {
    "psnr": Tolerance(absolute=0.05),
    "psnr_equilibrium": Tolerance(absolute=0.05),
    "ssim": Tolerance(absolute=0.005),
    "ssim_equilibrium": Tolerance(absolute=0.005),
    # Below 1e-6 an error is that of a stopping rule or of rounding, and moves with the order of sums.
    "hypergradient_error": Tolerance(absolute=1e-6, relative=0.05),
    "hypergradient_cosine": Tolerance(absolute=1e-3),
    "residual": Tolerance(absolute=1e-7, relative=0.05),
    # A lower bound that may stop short of a cluster of eigenvalues.
    "jacobian_norm": Tolerance(absolute=0.002, relative=0.02),
    "psnr_10": Tolerance(absolute=0.05),
    "psnr_100": Tolerance(absolute=0.05),
    # A tolerance may be met an application or two earlier elsewhere; fixed depths do not move at all.
    "applications": Tolerance(absolute=3.0, relative=0.03),
    "vjps": Tolerance(absolute=3.0, relative=0.03),
    "recorded": Tolerance(),
    "saved_mib": Tolerance(relative=0.01),
}
FIXED = frozenset({"applications", "vjps"})


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One column, held: its tolerance, over how many cells, the largest difference, and how many are beyond."""

    name: str
    tolerance: str
    cells: int
    largest: float
    beyond: int


def is_adaptive(name: str) -> bool:
    """Whether counts of a solver may differ between machines, as those of a solver that is not ours may."""
    return name not in ESTIMATORS or ESTIMATORS[name].adaptive


def values(paired: PairedRecords) -> tuple[list[Difference], list[MetricComparison]]:
    """What disagrees, or is missing, or cannot be compared; and what was held, column by column."""
    both = paired.of("quality")
    changes = [
        _row(place(record), record.seed, "cell", Outcome.MISSING, why)
        for record, why in paired.lost("quality")
    ]
    found, expected = (tidy([pair[side] for pair in both]) for side in (0, 1))
    columns = []
    for name, tolerance in TOLERANCES.items():
        largest, beyond = 0.0, 0
        for (record, _), a, b in zip(both, found[name], expected[name], strict=True):
            exact = name in FIXED and not is_adaptive(family(record.solver))
            allowed = Tolerance() if exact else tolerance
            if math.isfinite(a) and math.isfinite(b):
                largest = max(largest, abs(a - b))
            if not allowed.admits(a, b):
                beyond += 1
                changes.append(_changed(place(record), record.seed, name, float(a), float(b), str(allowed)))
        columns.append(MetricComparison(name, str(tolerance), len(both), largest, beyond))
    for a, b in both:
        if a.status != b.status:
            why = f"{a.status} here, {b.status} there" + f": {a.reason or b.reason}" * bool(
                a.reason or b.reason
            )
            changes.append(_row(place(a), a.seed, "status", Outcome.CHANGED, why))
    return changes, columns


def _changed(where: Place, seed: int, name: str, a: float, b: float, tolerance: str) -> Difference:
    known = not math.isnan(a) and not math.isnan(b)
    why = f"beyond the tolerance: {tolerance}" if known else "known on one side only"
    change = a - b if known else None
    return Difference(
        Aspect.VALUES, name, where, seed, a, b, change, None, None, None, False, Outcome.CHANGED, why
    )


def _row(where: Place, seed: int, name: str, verdict: Outcome, why: str) -> Difference:
    return Difference(
        Aspect.VALUES, name, where, seed, None, None, None, None, None, None, False, verdict, why
    )
