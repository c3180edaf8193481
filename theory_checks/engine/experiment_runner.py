"""Run experiments at fixed seeds, and put measurements into words."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Sequence

import torch

from .experiment import Experiment, ExperimentSettings, Measurement, S
from .verdict import ASSUMPTION_NOT_MET, CONTROL_NOT_REFUTED, FAILS, HOLDS, NOT_MET_HERE, ExperimentVerdict


def run_experiment(experiment: Experiment[S], settings: S) -> ExperimentVerdict:
    """Measure an experiment and its negative control at given settings. Deterministic.

    A measurement that is finite and outside its range refutes the negative control. One that is not finite does not.
    """
    begin = time.perf_counter()
    reason = _missing_device(settings) or experiment.outside(settings)
    with warnings.catch_warnings():
        # torch.func.jvp imports decompositions that torch itself still scripts.
        warnings.filterwarnings("ignore", ".torch.jit.script")
        measurements = () if reason else tuple(experiment.measure(settings))
        refutation = None if reason else _refutation(experiment.negative_control(settings))
    asserted = [m for m in measurements if m.status != "reported"]
    failed = [m for m in asserted if m.status == "fail"]
    unmet = [m for m in asserted if m.status == "not met"]
    if reason:
        verdict = ASSUMPTION_NOT_MET
    elif failed or not asserted:
        verdict = FAILS
    elif refutation is None:
        verdict = CONTROL_NOT_REFUTED
    elif unmet:
        verdict = NOT_MET_HERE
    else:
        verdict = HOLDS
    worst = max(failed or asserted, key=lambda m: m.ratio, default=None)
    if reason:
        outcome = "not tried"
    else:
        outcome = f"refuted by {describe_measurement(refutation)}" if refutation else "NOT REFUTED"
    return ExperimentVerdict(
        id=experiment.id,
        statement=experiment.statement,
        assumptions=experiment.assumptions,
        source=experiment.source,
        verdict=verdict,
        reason=reason or (unmet[0].unmet if unmet else ""),
        worst=worst.ratio if worst else 0.0,
        detail=describe_measurement(worst) if worst else "",
        negative_control=f"{experiment.false_statement}: {outcome}",
        seconds=time.perf_counter() - begin,
        evidence=experiment.evidence,
        measurements=measurements,
    )


def _refutation(measurements: Sequence[Measurement]) -> Measurement | None:
    return next((m for m in measurements if math.isfinite(m.measured) and not m.inside), None)


def _missing_device(settings: ExperimentSettings) -> str | None:
    if settings.device.startswith("cuda") and not torch.cuda.is_available():
        return f"it needs the device {settings.device}, which is not available"
    return None


def describe_measurement(measurement: Measurement) -> str:
    """A measurement in words, e.g. ``speed-up 14.4, asked ≥ 13.1``."""
    asked = describe_range(measurement)
    return f"{measurement.quantity} {measurement.measured:.6g}" + (f", asked {asked}" if asked else "")


def describe_range(measurement: Measurement) -> str:
    """The range of a measurement in words; empty if it has none."""
    low, high = measurement.low, measurement.high
    if measurement.reported:
        return ""
    if math.isinf(low):
        return f"≤ {high:.6g}"
    if math.isinf(high):
        return f"≥ {low:.6g}"
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
