"""Measured numbers of an estimator in words, for sentences of terminal and page."""

from __future__ import annotations

import math

from ..analysis.recommendation import Candidate
from .cells import three_digits


def percent(value: float) -> str:
    """A share in per cent, to three digits."""
    return f"{100 * value:.3g}\u00a0%"


def decibel(value: float) -> str:
    """A PSNR."""
    return f"{value:.2f}\u00a0dB"


def count(number: float, word: str) -> str:
    """A number of things, in the plural unless it is one."""
    return f"{number:g}\u00a0{word}" if number == 1 else f"{number:g}\u00a0{word}s"


def error(option: Candidate) -> str:
    """The error of a gradient: its extremes over seeds and draws."""
    least, worst = percent(option.error_least), percent(option.error)
    return f"error {worst}" if least == worst else f"error {worst} at most, {least} at least"


def tape(option: Candidate) -> str:
    """The tape of a training step."""
    known = f"{three_digits(option.saved_mib)}\u00a0MiB of tape"
    return "tape not measured" if math.isnan(option.saved_mib) else known


def loss(option: Candidate) -> str:
    """The training loss at the equilibrium."""
    return f"training loss {option.training_loss:.4g}"


def listed(names: list[str] | tuple[str, ...], limit: int = 3) -> str:
    """Names with an *and*; of more than ``limit`` the first ones."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
