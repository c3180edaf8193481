"""Whether a recorded equilibrium is one, in words."""

from __future__ import annotations

import math

from .frame import LOST
from .records import Record

AT = "at equilibrium"


def converged(record: Record) -> bool:
    """Whether its iteration ended within ``LOST`` tolerances; images from elsewhere are of no equilibrium."""
    residual = record.values.get("equilibrium_residual")
    tolerance = record.settings.get("equilibrium", {}).get("tol", math.nan)
    # As in ``frame.tidy``: what an older record does not hold is believed.
    return residual is None or not residual > LOST * tolerance


def words(record: Record) -> str:
    """What its image at the equilibrium is called, under the residual that was recorded for all its test images."""
    if not converged(record):
        return f"iterated, not converged (residual {record.values['equilibrium_residual']:.1e})"
    if record.values.get("equilibrium_stays") is False:
        return "at an equilibrium that iteration leaves"
    return AT
