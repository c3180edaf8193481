"""1.9 ``|x − x̄| ≤ (|r| + |ε|)/λ + (1 + |A|/λ) dist(x̄, S)`` with ``λ = σ_min(A D)``.

So at the first ``|r| ≤ |ε|`` the error is at most 2|ε|/λ where x̄ is in S. For x and the projection x̂ of x̄ in S:
``λ|x − x̂| ≤ |A(x − x̂)| ≤ |r| + |ε| + |A| dist(x̄, S)``. Where A is injective S may be all images. The bound is
attained with the noise in A's weakest direction. Derived, of the shape of arXiv 2309.12128, theorem 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....experiment import Experiment, Mark, Row, at_least, at_most
from ..simulation import recovery
from ..simulation.settings import Setting

ROUNDING = 1e-9


def _measure(setting: Setting) -> Sequence[Row]:
    """The inertial system at critical damping, until it has converged."""
    out = []
    for c in recovery.recovery_runs(setting):
        out.append(
            at_most(
                f"error over its bound: {c.name}", float((c.error / recovery.bound(c)).max()), 1 + ROUNDING
            )
        )
        if not c.noise:
            continue
        out.append(
            at_least(f"error at the end / smallest: {c.name}", float(c.error[-1] / c.error.min()), 1.05)
        )
        if not c.misfit:
            stopped = float(c.error[c.stop]) if c.stop >= 0 else float("nan")
            out.append(
                at_most(f"error at the stop / (2|ε|/λ): {c.name}", stopped * c.smallest / (2 * c.noise), 1.0)
            )
            out.append(at_least(f"residual just before the stop / |ε|: {c.name}", _before(c), 1.0))
    worst = recovery.recovery_runs(setting)[-1]
    reached = float(worst.error[-1] / recovery.bound(worst)[-1])
    out.append(at_least("bound attained by the worst noise", reached, 0.99))
    return out


def _before(c: recovery.RecoveryRun) -> float:
    return float(c.residual[c.stop - 1]) / c.noise if c.stop > 0 else float("nan")


def _negative_control(setting: Setting) -> Sequence[Row]:
    """Without the noise on the right."""
    c = recovery.recovery_runs(setting)[-1]
    return [
        at_most(
            "error over (|r| + ½|ε|)/λ",
            float((c.error / ((c.residual + c.noise / 2) / c.smallest)).max()),
            1.0,
        )
    ]


EXPERIMENT = Experiment(
    id="1.9",
    statement="|x − x̄| ≤ (|r| + |ε|)/λ + (1 + |A|/λ) dist(x̄, S); ≤ 2|ε|/λ where |r| first reaches |ε|",
    source="derived, after arXiv 2309.12128, theorem 3.2",
    assumptions="x = D h(θ), S = Im D, λ = σ_min(A D) > 0",
    mark=Mark.DERIVED,
    measure=_measure,
    too_strong=_negative_control,
    twin="half the noise would do in the bound",
)
