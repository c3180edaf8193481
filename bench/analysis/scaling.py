"""How the cost of a training step grows with the pixels of an image and with the batch: fitted exponents."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import mean, median

import numpy as np
import pandas as pd

from ..config.call_syntax import family
from ..external import is_external
from ..records.record import Record
from .tidy import MIB, place

QUANTITIES = {
    "seconds": "seconds of a step",
    "peak_mib": "peak memory",
    "saved_mib": "tape",
    "work": "applications + VJPs",
}
LEAST = 3
"""Sizes that a line through them must have."""
RESAMPLES = 1000


def sizes(records: Iterable[Record]) -> pd.DataFrame:
    """A row for each task, size and solver that ended well.

    Columns: ``task, crop, batch, solver, family, peer``; ``pixels`` (of an image, crop²); ``seconds`` (median of a
    step) and ``rounds`` (all of them, a list); ``peak_mib``, ``saved_mib`` and ``work`` (applications + VJPs), means
    over seeds. What was not measured is NaN, or an empty list.
    """
    everything = list(records)
    rounds = {place(r): r.values.get("seconds") or [] for r in everything if r.kind == "cost"}
    cells: dict[tuple[str, int, int, str], list[dict[str, object]]] = {}
    for record in everything:
        if record.kind == "quality" and record.status == "ok":
            cells.setdefault(place(record), []).append(record.values)
    own = {place(record) for record in everything if record.settings.get("files")}
    rows = []
    for where, values in cells.items():
        timed = rounds.get(where, [])
        row = dict(zip(("task", "crop", "batch", "solver"), where, strict=True))
        name = family(where[3])
        row |= {
            "family": name,
            "peer": is_external(name, where in own),
            "pixels": where[1] ** 2,
            "rounds": timed,
        }
        row["seconds"] = median(timed) if timed else math.nan
        row["peak_mib"] = _mean(values, "peak_bytes") / MIB
        row["saved_mib"] = _mean(values, "saved_bytes") / MIB
        row["work"] = _mean(values, "applications") + _mean(values, "vjps")
        rows.append(row)
    columns = ["task", "crop", "batch", "solver", "family", "peer", "pixels", "rounds", *QUANTITIES]
    return pd.DataFrame(rows, columns=columns)


def _mean(values: list[dict[str, object]], name: str) -> float:
    known = [float(v[name]) for v in values if v.get(name) is not None]  # pyright: ignore[reportArgumentType]
    return mean(known) if known else math.nan


def exponent(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """The p of ``y ≈ c xᵖ`` by least squares in log–log, and its standard error.

    The standard error is that of the line's own misfit, and NaN for fewer than three points.
    """
    u, v = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    u, v = u - u.mean(), v - v.mean()
    slope = float(u @ v / (u @ u))
    if len(u) < 3:
        return slope, math.nan
    return slope, float(np.sqrt(((v - slope * u) ** 2).sum() / (len(u) - 2) / (u @ u)))


def exponent_interval(x: Sequence[float], rounds: Sequence[Sequence[float]]) -> tuple[float, float]:
    """A 95 % interval of the exponent of the medians of ``rounds``, by drawing each size's rounds again.

    Args:
        x: sizes.
        rounds: seconds of every round at each of them.

    Returns:
        The 2.5th and the 97.5th percentile of 1000 draws; the same for the same rounds.
    """
    rng = np.random.default_rng(0)
    drawn = [np.median(rng.choice(np.asarray(r, float), (RESAMPLES, len(r))), axis=1) for r in rounds]
    u = np.log(np.asarray(x, float))
    u = u - u.mean()
    slopes = u @ np.log(np.stack(drawn)) / (u @ u)
    low, high = np.percentile(slopes, [2.5, 97.5])
    return float(low), float(high)


def transform_exponent(pixels: Sequence[float]) -> float:
    """What the same fit makes of ``n log n``, an FFT's, at these sizes."""
    return exponent(pixels, [n * math.log(n) for n in pixels])[0]


def fitted_exponents(found: pd.DataFrame) -> pd.DataFrame:
    """Exponents of each task and solver, against pixels at a fixed batch and against the batch at a fixed crop.

    Args:
        found: that of ``sizes``.

    Returns:
        Columns ``task, solver``; ``against`` (``pixels`` or ``batch``); ``fixed``, the batch or the crop that stays;
        ``sizes``, the crops or batches, in words; ``quantity``; ``exponent`` and its ``standard_error``; ``low`` and
        ``high``, the interval of the rounds (NaN for what has no rounds); ``expected``, the exponent of n log n over
        the same pixels, and 1 over batches. Lines through fewer than three sizes are left out.
    """
    rows: list[dict[str, object]] = []
    for against, fixed, side in (("pixels", "batch", "crop"), ("batch", "crop", "batch")):
        for (task, kept, solver), part in found.groupby(["task", fixed, "solver"], sort=False):
            part = part.sort_values(against)
            if len(part) < LEAST:
                continue
            row = {"task": task, "solver": solver, "against": against, "fixed": kept}
            row["sizes"] = ", ".join(str(n) for n in part[side])
            row["expected"] = transform_exponent(list(part["pixels"])) if against == "pixels" else 1.0
            for quantity in QUANTITIES:
                known = part[part[quantity] > 0]
                if len(known) >= LEAST:
                    rows.append(row | {"quantity": quantity} | _fit(known, against, quantity))
    columns = ["task", "solver", "against", "fixed", "sizes", "quantity", "exponent", "standard_error"]
    return pd.DataFrame(rows, columns=[*columns, "low", "high", "expected"])


def _fit(part: pd.DataFrame, against: str, quantity: str) -> dict[str, float]:
    x = list(part[against])
    slope, error = exponent(x, list(part[quantity]))
    low, high = exponent_interval(x, list(part["rounds"])) if quantity == "seconds" else (math.nan, math.nan)
    return {"exponent": slope, "standard_error": error, "low": low, "high": high}


def exponents_markdown(fitted: pd.DataFrame) -> str:
    """``fitted_exponents`` for people: a table for each task and for what it is held against."""
    parts = []
    for (task, against, fixed), part in fitted.groupby(["task", "against", "fixed"], sort=False):
        where = f"at batch {fixed}" if against == "pixels" else f"at {fixed}²"
        lines = []
        for (solver, measured), rows in part.groupby(["solver", "sizes"], sort=False):
            shown = {QUANTITIES[row.quantity]: _text(row) for row in rows.itertuples()}
            expected = f"{rows['expected'].iloc[0]:.3f}"
            line = {"solver": solver, "crops" if against == "pixels" else "batches": measured}
            lines.append(line | shown | {"n log n" if against == "pixels" else "proportional": expected})
        text = pd.DataFrame(lines).fillna("—").to_markdown(index=False, disable_numparse=True)
        parts.append(f"## {task}, against {against} {where}\n\n{text}\n")
    return "\n".join(parts) + _LEGEND


def _text(row) -> str:
    error = "" if math.isnan(row.standard_error) else f" ± {row.standard_error:.2f}"
    rounds = "" if math.isnan(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
    return f"{row.exponent:.2f}{error}{rounds}"


_LEGEND = """
---
The exponent p of cost ≈ c sizeᵖ, by least squares in log–log, ± its standard error (how well a line fits), and in
brackets the 95 % interval from drawing the rounds of each timing again. *n log n*: what the same fit makes of an FFT
over the same sizes. Seconds of a solver with a tolerance grow with its applications + VJPs too, so their exponent
stands beside it.
"""
