"""Claims 1.1 to 1.9, one a file."""

from __future__ import annotations

from . import (
    claim_1_1_oracle,
    claim_1_2_energy,
    claim_1_3_rates,
    claim_1_4_acceleration,
    claim_1_5_envelope,
    claim_1_6_certificate,
    claim_1_7_width,
    claim_1_8_discrete,
    claim_1_9_photograph,
    claim_1_9_recovery,
)

EXPERIMENTS = (
    claim_1_1_oracle.EXPERIMENT,
    claim_1_2_energy.EXPERIMENT,
    claim_1_3_rates.EXPERIMENT,
    claim_1_4_acceleration.EXPERIMENT,
    claim_1_5_envelope.EXPERIMENT,
    claim_1_6_certificate.EXPERIMENT,
    claim_1_7_width.EXPERIMENT,
    claim_1_8_discrete.EXPERIMENT,
    claim_1_9_recovery.EXPERIMENT,
    claim_1_9_photograph.EXPERIMENT,
)
"""Listed by hand, in the order of the specification."""

__all__ = ["EXPERIMENTS"]
