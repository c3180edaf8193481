"""1.6 If ``R' < R`` at the start, gradient flow stays within R' and converges at a guaranteed rate.

For all t ``|θ − θ0| ≤ R'``, ``σ_min(J) ≥ σ_J/2`` and ``|r| ≤ |r0| exp(−(σ_A σ_J/2)² t)``, where
``R' = 2|r0|/(σ_A σ_J)``, ``R = σ_J/(2 Lip)``, ``Lip = B √(n/k)``; so R' < R says ``k > n (4B|r0|/(σ_A σ_J²))²``.
Derived for gradient flow (of the form of arXiv 2309.12128). A network that is too narrow is not certified, which is no
failure. ``inertial_certificate`` has a theorem of the same kind for the inertial system, whose guaranteed rate is
slower than the measured one; that the measured rate at α = σ_A σ_J is σ_A σ_J/2, the square root of that of gradient
flow, is tested with slack.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ....engine import Evidence, Experiment, Measurement, at_least, at_most, reported, zero
from ..simulation import flow_certificate, inertial_certificate
from ..simulation.flow_certificate import ROUNDING, CertificateCheck
from ..simulation.inertial_certificate import InertialCheck
from ..simulation.settings import Setting


def _violations(f: CertificateCheck) -> int:
    """The number of the three conclusions that do not hold; a value that is not finite counts as violated."""
    return sum(not ratio <= 1 + ROUNDING for ratio in (f.moved, f.jacobian, f.residual))


def _inertial_violations(f: InertialCheck) -> int:
    """The number of the five conclusions on the inertial system that do not hold."""
    return sum(not x <= 1 + ROUNDING for x in (f.moved, f.jacobian, f.residual, f.lyapunov, f.way))


def _largest(quantity: str, ratios: list[float]) -> Measurement:
    """The largest ratio, which must not exceed 1; nan, which fails, if nothing is certified."""
    return at_most(f"{quantity}, largest", max(ratios, default=math.nan), 1 + ROUNDING)


def _inertial_measure(setting: Setting) -> Sequence[Measurement]:
    """The certificate of the inertial system at α = √(2Λ)."""
    checks = inertial_certificate.inertial_checks(setting)
    valid = [f for f in checks if f.valid]
    radii = [(f.k, f.guarantee.needed / f.guarantee.start.radius) for f in checks]
    return [
        at_least("inertial: widths that are certified", len(valid), 1),
        zero("inertial: conclusions violated where certified", sum(_inertial_violations(f) for f in valid)),
        _largest("inertial: √F + √(ab)·way over √F(0)", [f.way for f in valid]),
        _largest("inertial: F e^(bt) over F(0)", [f.lyapunov for f in valid]),
        *(reported(f"inertial: R'/R at k = {k}", ratio) for k, ratio in radii),
    ]


def _measure(setting: Setting) -> Sequence[Measurement]:
    """Softplus, n = 8, σ_A = 0.6."""
    checks = flow_certificate.certificate_checks(setting)
    certificates = flow_certificate.certificates(setting)
    valid = [f for f in checks if f.valid]
    slowest = min((f.inertial for f in valid), default=math.nan)
    return [
        at_least("widths that are certified", len(valid), 1),
        at_least("widths that are not", len(certificates) - len(valid), 1),
        zero("certificates against the condition on k", sum(not f.agrees for f in checks)),
        zero("conclusions violated where certified", sum(_violations(f) for f in valid)),
        _largest("|θ − θ0| / R'", [f.moved for f in valid]),
        _largest("(σ_J/2) / σ_min(J)", [f.jacobian for f in valid]),
        _largest("|r| over its bound", [f.residual for f in valid]),
        at_least("inertial at α = σ_A σ_J: rate / (σ_A σ_J/2), smallest", slowest, 0.95),
        *(
            reported(
                f"R'/R at k = {k}, {'' if ok else 'not '}certified", c.needed / c.radius, setting.seed + k
            )
            for k, c, ok, _ in certificates
        ),
        *_inertial_measure(setting),
    ]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim eight times the certified rate."""
    worst = max(
        (f.too_fast for f in flow_certificate.certificate_checks(setting) if f.valid), default=math.nan
    )
    return [at_most("|r| over |r0| exp(−2(σ_A σ_J)² t)", worst, 1 + ROUNDING)]


EXPERIMENT = Experiment(
    id="1.6",
    statement="R' < R implies |θ − θ0| ≤ R', σ_min(J) ≥ σ_J/2, |r| ≤ |r0| exp(−(σ_A σ_J/2)² t)",
    source="derived, after arXiv 2309.12128",
    assumptions="φ′ bounded and B-Lipschitz; A injective; gradient flow",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="the same with the rate 2(σ_A σ_J)²",
)
