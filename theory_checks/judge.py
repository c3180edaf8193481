"""Runs an experiment: the verdict on its rows, and the fate of its twin."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence

import torch

from .experiment import Experiment, Placed, Row, S
from .verify import Verdict


def judge(experiment: Experiment[S], setting: S) -> Verdict:
    """Measure the rows of an experiment and of its twin at a setting, the same ones every time.

    The twin is refuted by a row that is finite and outside its range; one that could not be measured refutes nothing.
    """
    begin = time.perf_counter()
    reason = _no_device(setting) or experiment.outside(setting)
    with warnings.catch_warnings():
        # torch.func.jvp brings in decompositions that torch itself still scripts.
        warnings.filterwarnings("ignore", ".torch.jit.script")
        rows = () if reason else tuple(experiment.measure(setting))
        against = None if reason else _refuted(experiment.too_strong(setting))
    asserted = [row for row in rows if row.status != "reported"]
    failed = [row for row in asserted if row.status == "fail"]
    unmet = [row for row in asserted if row.status == "not met"]
    if reason:
        verdict = "assumption not met"
    elif failed or not asserted:
        verdict = "FAILS"
    elif against is None:
        verdict = "no teeth"
    elif unmet:
        verdict = "not met here"
    else:
        verdict = "holds"
    worst = max(failed or asserted, key=lambda row: row.ratio, default=None)
    fate = f"refuted by {tell(against)}" if against else ("not tried" if reason else "SURVIVED")
    return Verdict(
        experiment.id,
        experiment.statement,
        experiment.assumptions,
        experiment.source,
        verdict,
        "an experiment",
        len(asserted),
        1 if reason else 0,
        reason or (unmet[0].unmet if unmet else ""),
        worst.ratio if worst else 0.0,
        math.nan,
        math.nan,
        {},
        tell(worst) if worst else "",
        f"{experiment.twin}: {fate}",
        time.perf_counter() - begin,
        experiment.mark.value,
        rows,
    )


def _refuted(rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if math.isfinite(row.measured) and not row.inside), None)


def _no_device(setting: Placed) -> str | None:
    if setting.device.startswith("cuda") and not torch.cuda.is_available():
        return f"it needs the device {setting.device}, which is not here"
    return None


def tell(row: Row) -> str:
    """A row in words: ``speed-up 14.4, asked ≥ 13.1``."""
    asked = allowed(row)
    return f"{row.quantity} {row.measured:.6g}" + (f", asked {asked}" if asked else "")


def allowed(row: Row) -> str:
    """The range of a row in words; empty where nothing is asserted."""
    if row.reported:
        return ""
    if math.isinf(row.low):
        return f"≤ {row.high:.6g}"
    if math.isinf(row.high):
        return f"≥ {row.low:.6g}"
    if row.low == row.high:
        return f"{row.low:.6g}"
    return f"{row.low:.6g} to {row.high:.6g}"
