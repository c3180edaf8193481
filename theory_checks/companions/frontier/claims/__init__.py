"""Claims 3.1 to 3.9, one a file."""

from __future__ import annotations

from . import (
    claim_3_1_slopes,
    claim_3_2_finite_width,
    claim_3_3_crossing,
    claim_3_4_dimension,
    claim_3_5_cut_off,
    claim_3_6_numerics,
    claim_3_7_calibration,
    claim_3_8_trade_off,
    claim_3_9_backward,
)

EXPERIMENTS = (
    claim_3_1_slopes.EXPERIMENT,
    claim_3_2_finite_width.EXPERIMENT,
    claim_3_3_crossing.EXPERIMENT,
    claim_3_4_dimension.EXPERIMENT,
    claim_3_5_cut_off.EXPERIMENT,
    claim_3_6_numerics.EXPERIMENT,
    claim_3_7_calibration.EXPERIMENT,
    claim_3_8_trade_off.EXPERIMENT,
    claim_3_9_backward.EXPERIMENT,
)
"""Listed by hand, in the order of the specification."""

__all__ = ["EXPERIMENTS"]
