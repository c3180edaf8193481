"""1.6 If ``R' < R`` at the start, gradient flow stays within R' and converges at a guaranteed rate.

For all t ``|θ − θ0| ≤ R'``, ``σ_min(J) ≥ σ_J/2`` and ``|r| ≤ |r0| exp(−(σ_A σ_J/2)² t)``, where
``R' = 2|r0|/(σ_A σ_J)``, ``R = σ_J/(2 Lip)``, ``Lip = B √(n/k)``; so R' < R says ``k > n (4B|r0|/(σ_A σ_J²))²``.
Derived for gradient flow (the shape is that of arXiv 2309.12128). Networks that are too narrow are not certified,
which is no failure. For the inertial system ``inertial_certificate`` has a theorem of the same kind, with a slower
rate than is seen; that at α = σ_A σ_J its rate is σ_A σ_J/2, the root of that of gradient flow, is tested with
slack.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....experiment import Experiment, Mark, Row, at_least, at_most, reported, zero
from ..simulation import flow_certificate, inertial_certificate
from ..simulation.flow_certificate import ROUNDING, CertificateCheck
from ..simulation.inertial_certificate import InertialCheck
from ..simulation.settings import Setting


def _violations(f: CertificateCheck) -> int:
    """How many of the three conclusions do not hold; all where one is not finite."""
    return sum(not ratio <= 1 + ROUNDING for ratio in (f.moved, f.jacobian, f.residual))


def _inertial_violations(f: InertialCheck) -> int:
    """How many of the five conclusions on the inertial system do not hold."""
    return sum(not x <= 1 + ROUNDING for x in (f.moved, f.jacobian, f.residual, f.lyapunov, f.way))


def _inertial_measure(setting: Setting) -> Sequence[Row]:
    """The certificate of the inertial system at α = √(2Λ)."""
    found = inertial_certificate.inertial_checks(setting)
    valid = [f for f in found if f.valid]
    nothing = float("nan")
    return [
        at_least("inertial: widths that are certified", len(valid), 1),
        zero("inertial: conclusions violated where certified", sum(_inertial_violations(f) for f in valid)),
        at_most(
            "inertial: √F + √(ab)·way over √F(0), largest",
            max((f.way for f in valid), default=nothing),
            1 + ROUNDING,
        ),
        at_most(
            "inertial: F e^(bt) over F(0), largest",
            max((f.lyapunov for f in valid), default=nothing),
            1 + ROUNDING,
        ),
        *(
            reported(f"inertial: R'/R at k = {f.k}", f.guarantee.needed / f.guarantee.start.radius)
            for f in found
        ),
    ]


def _measure(setting: Setting) -> Sequence[Row]:
    """Softplus, n = 8, σ_A = 0.6."""
    valid = [f for f in flow_certificate.certificate_checks(setting) if f.valid]
    margins = [
        reported(
            f"R'/R at k = {k}, {'certified' if ok else 'not certified'}",
            c.needed / c.radius,
            setting.seed + k,
        )
        for k, c, ok, _ in flow_certificate.certificates(setting)
    ]
    return [
        at_least("widths that are certified", len(valid), 1),
        at_least("widths that are not", len(flow_certificate.certificates(setting)) - len(valid), 1),
        zero(
            "certificates against the condition on k",
            sum(not f.agrees for f in flow_certificate.certificate_checks(setting)),
        ),
        zero("conclusions violated where certified", sum(_violations(f) for f in valid)),
        at_most("|θ − θ0| / R', largest", max((f.moved for f in valid), default=float("nan")), 1 + ROUNDING),
        at_most(
            "(σ_J/2) / σ_min(J), largest",
            max((f.jacobian for f in valid), default=float("nan")),
            1 + ROUNDING,
        ),
        at_most(
            "|r| over its bound, largest",
            max((f.residual for f in valid), default=float("nan")),
            1 + ROUNDING,
        ),
        at_least(
            "inertial at α = σ_A σ_J: rate / (σ_A σ_J/2), smallest",
            min((f.inertial for f in valid), default=float("nan")),
            0.95,
        ),
        *margins,
        *_inertial_measure(setting),
    ]


def _negative_control(setting: Setting) -> Sequence[Row]:
    """Eight times the certified rate."""
    worst = max(
        (f.too_fast for f in flow_certificate.certificate_checks(setting) if f.valid), default=float("nan")
    )
    return [at_most("|r| over |r0| exp(−2(σ_A σ_J)² t)", worst, 1 + ROUNDING)]


EXPERIMENT = Experiment(
    id="1.6",
    statement="R' < R implies |θ − θ0| ≤ R', σ_min(J) ≥ σ_J/2, |r| ≤ |r0| exp(−(σ_A σ_J/2)² t)",
    source="derived, after arXiv 2309.12128",
    assumptions="φ′ bounded and B-Lipschitz; A injective; gradient flow",
    mark=Mark.DERIVED,
    measure=_measure,
    too_strong=_negative_control,
    twin="the same with the rate 2(σ_A σ_J)²",
)
