"""A Jacobian norm in words."""

from __future__ import annotations

import math

import pytest

from bench.analysis.jacobian_verdict import verdict


@pytest.mark.parametrize(
    ("norm", "words"),
    [
        (0.5, "contractive (L = 0.5000)"),
        (0.99985, "contractive (L = 0.9999)"),
        (0.99995, "nonexpansive"),
        (1.00005, "nonexpansive"),
        (1.2345, "not contractive here (L = 1.23)"),
        (math.nan, "—"),
    ],
)
def test_verdicts(norm, words):
    assert verdict(norm) == words
