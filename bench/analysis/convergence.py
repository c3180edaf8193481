"""Whether a recorded equilibrium is one, in words."""

from __future__ import annotations

import math

from ..measurement.equilibrium import LOST
from ..records.record import Record

AT = "at equilibrium"


def converged(record: Record, residual: str = "equilibrium_residual") -> bool:
    """Whether the residual of that name is at most ``LOST`` tolerances; true if an older record does not hold it."""
    value = record.values.get(residual)
    tolerance = record.settings.get("equilibrium", {}).get("tol", math.nan)
    return value is None or not value > LOST * tolerance


def equilibrium_words(record: Record) -> str:
    """Caption of the image at the equilibrium."""
    # Older records hold only the largest residual over the test images, not that of the image in the picture.
    panel = "panel_equilibrium_residual"
    residual = panel if panel in record.values else "equilibrium_residual"
    if not converged(record, residual):
        return f"iterated, not converged (residual {record.values[residual]:.1e})"
    if record.values.get("equilibrium_stays") is False:
        return "at an equilibrium that iteration leaves"
    return AT
