"""Arguments of commands and of calls that make solvers, priors and tasks: checks, quantities, labels."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from .errors import UserError


def whole(name: str, value: int, least: int = 1, most: int | None = None) -> int:
    """``value`` if it is a whole number from ``least`` to ``most``."""
    integer = isinstance(value, int) and not isinstance(value, bool)
    if not integer or value < least or (most is not None and value > most):
        interval = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UserError(f"{name} must be a whole number {interval}, not {value!r}")
    return value


def real(name: str, value: float, *, positive: bool = False) -> float:
    """``value`` as a float if it is finite and at least 0, or above 0."""
    if not _is_number(value) or not 0 <= value < math.inf or (positive and value == 0):
        kind = "a positive number" if positive else "a number of at least 0"
        raise UserError(f"{name} must be {kind}, not {value!r}")
    return float(value)


def up_to(name: str, value: float, most: float, note: str) -> float:
    """``value`` as a float if it lies in ``(0, most]``; ``note`` explains that in the error."""
    if not _is_number(value) or not 0 < value <= most:
        raise UserError(f"{name} must lie in (0, {most:g}]{note}, not {value!r}")
    return float(value)


def noise_level(name: str, value: float) -> float:
    """``value`` as a float if it is a standard deviation in (0, 1]."""
    return up_to(name, value, 1, " (images are in [0, 1])")


def switch(name: str, value: bool) -> bool:
    """``value`` if it is True or False."""
    if not isinstance(value, bool):
        raise UserError(f"{name} must be True or False, not {value!r}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def call_label(name: str, **options: tuple[object, object]) -> str:
    """The shortest call of ``name``: each option is a pair of its value and its default, which is left out."""
    words = [f"{key}={value!r}" for key, (value, default) in options.items() if value != default]
    return f"{name}({', '.join(words)})" if words else name


def with_argument(label: str, argument: str) -> str:
    """The call ``label`` with a further argument."""
    return f"{label[:-1]}, {argument})" if label.endswith(")") else f"{label}({argument})"


def quantity(text: str, units: Mapping[str, float]) -> float:
    """Parse ``1.5h`` or ``256MiB`` into a multiple of the unit whose value in ``units`` is 1; 0 if not a quantity."""
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", text.strip())
    return float(parts[1]) * units.get(parts[2], 0.0) if parts else 0.0
