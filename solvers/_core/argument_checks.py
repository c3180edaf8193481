"""Checks of the numbers that a solver is made with. Each returns the value, or raises a ``ValueError`` naming it."""

from __future__ import annotations


def at_least(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
    return value


def positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{name} must be a positive number, not {value!r}")
    return value


def fraction(name: str, value: float) -> float:
    if positive(name, value) > 1:
        raise ValueError(f"{name} must lie in (0, 1], not {value!r}")
    return value


def stopping_rule(tol: float, **counts: int) -> None:
    """Check the arguments of a solver that stops on a residual: ``tol`` above 0, and each of ``counts`` at least 1."""
    positive("tol", tol)
    for name, value in counts.items():
        at_least(name, value, 1)
