"""1.9 ``|x − x̄| ≤ (|r| + |ε|)/λ + (1 + |A|/λ) dist(x̄, S)`` with ``λ = σ_min(A D)``.

So at the first ``|r| ≤ |ε|`` the error is at most 2|ε|/λ where x̄ is in S. For x and the projection x̂ of x̄ in S:
``λ|x − x̂| ≤ |A(x − x̂)| ≤ |r| + |ε| + |A| dist(x̄, S)``. Where A is injective S may be all images. The bound is
attained with the noise in A's weakest direction. Derived, of the shape of arXiv 2309.12128, theorem 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ....engine import Evidence, Experiment, Measurement, at_least, at_most
from ..simulation import recovery
from ..simulation.settings import Setting

ROUNDING = 1e-9


def _measure(setting: Setting) -> Sequence[Measurement]:
    """The inertial system at critical damping, until it has converged."""
    rows, runs = [], recovery.recovery_runs(setting)
    for run in runs:
        ratio = float((run.error / recovery.bound(run)).max())
        rows.append(at_most(f"error over its bound: {run.name}", ratio, 1 + ROUNDING))
        if not run.noise:
            continue
        loss = float(run.error[-1] / run.error.min())
        rows.append(at_least(f"error at the end / smallest: {run.name}", loss, 1.05))
        if not run.misfit:
            # A run that never stops gives nan, which fails.
            error = float(run.error[run.stop]) if run.stop >= 0 else math.nan
            before = float(run.residual[run.stop - 1]) / run.noise if run.stop > 0 else math.nan
            relative = error * run.smallest / (2 * run.noise)
            rows.append(at_most(f"error at the stop / (2|ε|/λ): {run.name}", relative, 1.0))
            rows.append(at_least(f"residual just before the stop / |ε|: {run.name}", before, 1.0))
    attained = float(runs[-1].error[-1] / recovery.bound(runs[-1])[-1])
    return [*rows, at_least("bound attained by the worst noise", attained, 0.99)]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim the bound with half the noise."""
    run = recovery.recovery_runs(setting)[-1]
    ratio = float((run.error / ((run.residual + run.noise / 2) / run.smallest)).max())
    return [at_most("error over (|r| + ½|ε|)/λ", ratio, 1.0)]


EXPERIMENT = Experiment(
    id="1.9",
    statement="|x − x̄| ≤ (|r| + |ε|)/λ + (1 + |A|/λ) dist(x̄, S); ≤ 2|ε|/λ where |r| first reaches |ε|",
    source="derived, after arXiv 2309.12128, theorem 3.2",
    assumptions="x = D h(θ), S = Im D, λ = σ_min(A D) > 0",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="half the noise would do in the bound",
)
