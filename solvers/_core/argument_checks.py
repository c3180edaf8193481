"""Checks of the numbers that a solver is made with."""

from __future__ import annotations


def at_least(name: str, value: int, least: int) -> int:
    """``value``, or a ``ValueError`` that names the argument, the value and the way out."""
    if isinstance(value, bool) or not isinstance(value, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
    return value


def positive(name: str, value: float) -> float:
    """``value``, or a ``ValueError`` that names the argument, the value and the way out."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{name} must be a positive number, not {value!r}")
    return value


def share(name: str, value: float) -> float:
    """``value``, or a ``ValueError`` that names the argument, the value and the way out."""
    if positive(name, value) > 1:
        raise ValueError(f"{name} must lie in (0, 1], not {value!r}")
    return value
