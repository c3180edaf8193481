"""The columns of the printed tables: what they hold, how a number reads, and what is best."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false
from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from .jacobian_verdict import verdict


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of the printed tables.

    Attributes:
        name: of the tidy column.
        title: as it is printed.
        show: a mean as text; its spread is printed after ``±`` where it is visible.
        best: ``max`` or ``min`` marks the best value of a task; ``None`` marks none.
        spread: tidy column that holds the spread; ``None`` for the standard deviation over seeds.
        over: what is printed of the values of several seeds.
        words: it is printed as words, without a spread.
        once: it belongs to a solver and not to its seeds.
        paired: solvers are compared seed by seed, and what ties with the best is marked too.
    """

    name: str
    title: str
    show: Callable[[float], str]
    best: Callable[[pd.Series], float] | None = None
    spread: str | None = None
    over: Callable[[pd.Series], float] = pd.Series.mean
    words: bool = False
    once: bool = False
    paired: bool = False


def _fixed(digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{digits}f}"


def _scientific(value: float) -> str:
    return f"{value:.1e}"


def _significant(value: float) -> str:
    return f"{value:.4g}"


def _whole(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _decibel(value: float) -> str:
    return "diverged" if value == -math.inf else f"{value:.2f}"


def _yes(share: float) -> str:
    return "no" if share == 0 else "yes" if share == 1 else "on some seeds"


ERROR = "hypergradient_error"
COLUMNS = (
    Metric("psnr", "PSNR (dB)", _fixed(2), max, paired=True),
    Metric("psnr_equilibrium", "PSNR at eq. (dB)", _fixed(2), max, paired=True),
    Metric("training_loss_equilibrium", "training loss at eq.", _significant, min, paired=True),
    Metric("psnr_validation_equilibrium", "validation PSNR at eq. (dB)", _fixed(2), max, paired=True),
    Metric("ssim", "SSIM", _fixed(3), max, paired=True),
    Metric("ssim_equilibrium", "SSIM at eq.", _fixed(3), max, paired=True),
    Metric(ERROR, "gradient error", _scientific, min),
    Metric("certified", "certified", _scientific),
    Metric("hypergradient_cosine", "cosine", _fixed(4), max),
    Metric("residual", "residual", _scientific),
    Metric("applications", "applications", _whole),
    Metric("vjps", "VJPs", _whole),
    Metric("saved_mib", "tape (MiB)", _fixed(2), min),
    Metric("peak_mib", "peak (MiB)", _fixed(2), min),
    Metric("peak_requested_mib", "peak requested (MiB)", _fixed(2), min),
    Metric("step_ms", "step (ms)", _fixed(1), min, spread="step_iqr_ms", once=True),
    Metric("floor_ratio", "× floor", _fixed(2), spread="floor_iqr", once=True),
)

PAST = (
    Metric("jacobian_norm", "T at its equilibrium", verdict, over=pd.Series.max, words=True),
    Metric("jacobian_norm_residual", "± rel.", _scientific, over=pd.Series.max, words=True),
    Metric("stalls", "residual stalls", _yes, words=True),
    Metric("psnr", "PSNR as trained (dB)", _fixed(2), max, paired=True),
    Metric("psnr_10", "at 10 ×", _decibel, max, paired=True),
    Metric("psnr_100", "at 100 ×", _decibel, max, paired=True),
    Metric("psnr_equilibrium", "at eq.", _fixed(2), max, paired=True),
    Metric("equilibrium_residual", "residual there", _scientific),
    Metric("equilibrium_stays", "plain iteration stays", _yes, words=True),
)
"""What becomes of the learned operator past the depth that was trained."""
