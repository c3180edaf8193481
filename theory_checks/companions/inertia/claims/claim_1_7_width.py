"""1.7 ``|J_T − J_0|/|J_0|`` and ``|J Jᵀ/C² − I|`` fall as k^(−1/2).

Derived: θ changes by O(1), spread over k entries of z, and J Jᵀ is a mean of k independent terms. The kernel changes
less, as k^(−1), because ``E[φ′φ″φ′] = 0`` for odd φ; its exponent is reported, and the negative control claims −1/2.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....engine import Evidence, Experiment, Measurement, near, reported
from ..simulation import width_laws
from ..simulation.settings import Setting


def _measure(setting: Setting) -> Sequence[Measurement]:
    """Exponents in k, of geometric means over the seeds."""
    concentration, jacobian, kernel = width_laws.width_exponents(width_laws.drifts(setting))
    return [
        near("exponent of |J_T − J_0|/|J_0|", jacobian, -0.5, 0.1),
        near("exponent of |J Jᵀ/C² − I|", concentration, -0.5, 0.1),
        reported("exponent of |K_T − K_0|/|K_0|", kernel),
    ]


def _negative_control(setting: Setting) -> Sequence[Measurement]:
    """Claim the same exponent for the kernel."""
    return [
        near(
            "exponent of |K_T − K_0|/|K_0|",
            width_laws.width_exponents(width_laws.drifts(setting))[2],
            -0.5,
            0.1,
        )
    ]


EXPERIMENT = Experiment(
    id="1.7",
    statement="|J_T − J_0|/|J_0| and |J Jᵀ/C² − I| ~ k^(−1/2)",
    source="derived",
    assumptions="tanh, k i.i.d. units, seeds averaged in the logarithm",
    evidence=Evidence.DERIVED,
    measure=_measure,
    negative_control=_negative_control,
    false_statement="the kernel moves as k^(−1/2) too",
)
