"""Claims 2.1 to 2.8, one a file."""

from __future__ import annotations

from . import (
    claim_2_1_identities,
    claim_2_2_limits,
    claim_2_3_brute_force,
    claim_2_4_orthogonality,
    claim_2_5_pythagoras,
    claim_2_6_match,
    claim_2_7_risks,
    claim_2_8_density,
)

EXPERIMENTS = (
    claim_2_1_identities.EXPERIMENT,
    claim_2_2_limits.EXPERIMENT,
    claim_2_3_brute_force.EXPERIMENT,
    claim_2_4_orthogonality.EXPERIMENT,
    claim_2_5_pythagoras.EXPERIMENT,
    claim_2_6_match.EXPERIMENT,
    claim_2_7_risks.EXPERIMENT,
    claim_2_8_density.EXPERIMENT,
)
"""Listed by hand, in the order of the specification."""

__all__ = ["EXPERIMENTS"]
