"""Checks that every solver must pass: ``for check in CHECKS: check(my_solver)``.

A check that fails raises ``AssertionError`` with a sentence. An estimator that is biased by design fails
``agrees_with_oracle`` and no other.
"""

from ._checks import (
    CHECKS,
    agrees_with_closed_form,
    agrees_with_oracle,
    counts_truly,
    keeps_shape_and_dtype,
    leaks_nothing,
    leaves_no_tape,
    reaches_every_parameter,
    repeats_itself,
    scales_with_the_loss,
    shows_nan,
    takes_an_empty_batch,
    takes_complex_states,
    treats_samples_alone,
)
from ._maps import (
    Complex,
    Contraction,
    CountedMap,
    Loss,
    RealPairs,
    SampleBySample,
    SoftThreshold,
    demand,
    dense_oracle,
    gradient_of,
    quadratic,
    relative_error,
    start,
)

__all__ = [
    "CHECKS",
    "Complex",
    "Contraction",
    "CountedMap",
    "Loss",
    "RealPairs",
    "SampleBySample",
    "SoftThreshold",
    "agrees_with_closed_form",
    "agrees_with_oracle",
    "counts_truly",
    "demand",
    "dense_oracle",
    "gradient_of",
    "keeps_shape_and_dtype",
    "leaks_nothing",
    "leaves_no_tape",
    "quadratic",
    "reaches_every_parameter",
    "relative_error",
    "repeats_itself",
    "scales_with_the_loss",
    "shows_nan",
    "start",
    "takes_an_empty_batch",
    "takes_complex_states",
    "treats_samples_alone",
]
