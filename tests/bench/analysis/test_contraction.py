"""Bounds on L by operator."""

import math

import pandas as pd

from bench.analysis.contraction import contraction_facts, contractions, within_theory


def rows(*bounds):
    return pd.DataFrame(bounds, columns=["operator", "contraction"])


def test_each_operator_has_its_bound_and_forward_backward_comes_first():
    found = contractions(rows(("admm", 0.8), ("forward_backward", 0.9), ("admm", 0.6)))
    assert list(found) == ["forward_backward", "admm"]
    assert math.isclose(found["admm"], 0.7)


def test_facts_say_which_operators_contract():
    cases = (
        ({"forward_backward": 0.98}, "L ≤ 0.980", True),
        ({"forward_backward": 0.98, "admm": 0.75}, "L ≤ 0.980, 0.750 on admm", True),
        ({"forward_backward": 1.99}, "L ≤ 1.990 only: outside the theory", False),
        ({"forward_backward": 1.0, "admm": 0.75}, "L ≤ 1.000, 0.750 on admm", True),
        ({"admm": math.nan}, "L not known in advance: outside the theory", False),
        ({"forward_backward": 0.5, "admm": math.nan}, "L ≤ 0.500, not known on admm", True),
    )
    for bounds, words, inside in cases:
        assert contraction_facts(bounds) == words
        assert within_theory(bounds) is inside
