"""Whether a recorded equilibrium is one, in words."""

from __future__ import annotations

import math

from ..records.record import Record
from .tidy import LOST

AT = "at equilibrium"


def converged(record: Record) -> bool:
    """Whether its iteration ended within ``LOST`` tolerances; images from elsewhere are of no equilibrium."""
    residual = pictured(record)
    tolerance = record.settings.get("equilibrium", {}).get("tol", math.nan)
    # As in ``frame.tidy``: what an older record does not hold is believed.
    return residual is None or not residual > LOST * tolerance


def pictured(record: Record) -> float | None:
    """The residual of the image that is shown, or of older records the largest over the test images."""
    whole = record.values.get("equilibrium_residual")
    return record.values.get("panel_equilibrium_residual", whole)


def equilibrium_words(record: Record) -> str:
    """What its image at the equilibrium is called."""
    if not converged(record):
        return f"iterated, not converged (residual {pictured(record):.1e})"
    if record.values.get("equilibrium_stays") is False:
        return "at an equilibrium that iteration leaves"
    return AT
