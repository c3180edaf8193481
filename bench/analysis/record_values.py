"""Numbers computed from the values of a record, for metrics that are no plain number there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import Any

import numpy as np

MIB = 2**20
Values = Mapping[str, Any]


def number(values: Values, name: str) -> float:
    """A number by its name; NaN if it is missing or was not finite."""
    value = values.get(name)
    return math.nan if value is None else float(value)


def mebibytes(name: str) -> Callable[[Values], float]:
    """Reader of a number of bytes, in MiB."""
    return lambda values: number(values, name) / MIB


def timing(statistic: Callable[[list[float]], float], name: str) -> Callable[[Values], float]:
    """Reader of a statistic of the rounds of a timing; NaN if nothing was timed."""
    return lambda values: statistic(values[name]) if values.get("seconds") else math.nan


def interquartile_range(numbers: Sequence[float]) -> float:
    """Difference of the upper and the lower quartile."""
    low, high = np.quantile(numbers, [0.25, 0.75])
    return float(high - low)


def draw_errors(values: Values) -> list[float]:
    """Relative error of the gradient on each draw of the noise: infinite if it diverged, NaN without reference."""
    errors, statuses = values.get("hypergradient_errors"), values.get("hypergradient_draws")
    if not errors or not statuses:  # records older than draws
        errors, statuses = [values.get("hypergradient_error")], ["ok"]
    return [
        (math.nan if status in ("ok", "no reference") else math.inf) if error is None else float(error)
        for error, status in zip(errors, statuses, strict=True)
    ]


def over_draws(statistic: Callable[[list[float]], float] = mean) -> Callable[[Values], float]:
    """Reader of a statistic of ``draw_errors``; NaN if the error on one draw is not known."""

    def read(values: Values) -> float:
        errors = draw_errors(values)
        return math.nan if any(map(math.isnan, errors)) else statistic(errors)

    return read


def reference_error(values: Values) -> float:
    """Relative error of the reference gradient; estimates are at least the residuals of its two equations."""
    error = number(values, "oracle_error")
    if "estimate" not in str(values.get("oracle_basis") or ""):
        return error
    # Estimates of older records may lie below the residuals, even at 0; see ``bench.measurement.hypergradient``.
    return max(error, number(values, "oracle_residual"), number(values, "oracle_adjoint_residual"))


def depth_curve(values: Values) -> dict[int, tuple[float, float]]:
    """PSNR (dB) and residual by multiples of the trained depth; NaN and infinity once the iterate has diverged."""
    depths = values.get("past_depths") or []
    psnrs, residuals = values.get("past_psnr") or [], values.get("past_residuals") or []
    return {
        depth // depths[0]: (
            math.nan if psnr is None else psnr,
            math.inf if residual is None else residual,
        )
        for depth, psnr, residual in zip(depths, psnrs, residuals, strict=True)
    }


def psnr_at(multiple: int) -> Callable[[Values], float]:
    """Reader of the PSNR at a multiple of the trained depth: minus infinity if diverged, NaN if not reached."""

    def read(values: Values) -> float:
        psnr, residual = depth_curve(values).get(multiple, (math.nan, math.nan))
        return -math.inf if residual == math.inf else psnr

    return read


def image_array(name: str) -> Callable[[Values], np.ndarray]:
    """Reader of a list with one value per image, as the array that Parquet returns; ``None`` becomes NaN."""
    return lambda values: np.array(values.get(name) or [], dtype=float)
