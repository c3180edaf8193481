"""Numbers with a unit on a command line."""

from __future__ import annotations

import re
from collections.abc import Mapping


def quantity(text: str, units: Mapping[str, float]) -> float:
    """Parse ``1.5h`` or ``256MiB`` into a multiple of the unit whose value in ``units`` is 1; 0 if not a quantity."""
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    return float(parts[1]) * units.get(parts[2], 0.0) if parts else 0.0
