"""Numbers with a unit, as they stand on a command line."""

from __future__ import annotations

import re
from collections.abc import Mapping

NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def quantity(text: str, units: Mapping[str, float]) -> float:
    """``1.5h`` or ``256MiB`` in the unit whose value in ``units`` is 1; 0 for anything else."""
    parts = NUMBER_AND_UNIT.fullmatch(text.strip())
    return float(parts[1]) * units.get(parts[2], 0.0) if parts else 0.0
