"""Labels, learned parameters and refusals."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch

from bench.config.call_syntax import parse_call
from bench.penalties import (
    PRIORS,
    Penalty,
    colours,
    l1,
    orientations,
    orientations_colours,
    union,
)
from bench.utils.errors import UserError


@pytest.mark.parametrize(
    ("prior", "channels", "weights", "coupling"),
    [
        (l1(), 3, (3, 3, 3), None),
        (orientations(), 1, (1, 3, 1), None),
        (orientations(coupled=True), 1, (1, 3, 1), (3, 5)),
        (orientations(coupled=True), 3, (3, 3, 1), (3, 15)),
        (colours(coupled=True), 3, (1, 3, 3), (3, 15)),
        (orientations_colours(coupled=True), 3, (1, 3, 1), (3, 44)),
        (union(), 3, (9, 3, 3), None),
    ],
    ids=lambda value: getattr(value, "label", None),
)
def test_what_is_learned(prior, channels, weights, coupling):
    operator = prior.operator((channels, 32, 32), 1.0, torch.float32, "cpu")
    expected = {"prior.log_weights": weights} | ({"prior.coupling": coupling} if coupling else {})
    assert {name: tuple(p.shape) for name, p in operator.named_parameters()} == expected


@pytest.mark.parametrize("make", [orientations, colours, orientations_colours])
def test_labels_are_the_shortest_call(make):
    name = make.__name__
    assert make().label == name
    assert make(coupled=True).label == f"{name}(coupled=True)"
    assert make(0.01, 0.02).label == f"{name}(smoothing=0.01, ridge=0.02)"
    assert make(ridge=1).label == f"{name}(ridge=1.0)"


@pytest.mark.parametrize("prior", [orientations(0.01), colours(0, 1e-3, True), union(0.1234567891, 2), l1()])
def test_a_label_makes_its_value_again(prior):
    made = parse_call(prior.label, PRIORS, "penalty")
    assert made == pickle.loads(pickle.dumps(prior)) == prior
    assert len({prior, made}) == 1


@pytest.mark.parametrize("make", [orientations, colours, orientations_colours, union])
@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf"), True, "0.1", None])
@pytest.mark.parametrize("name", ["smoothing", "ridge"])
def test_a_bad_number_is_refused(make, bad, name):
    with pytest.raises(UserError, match=f"{name} must be a number of at least 0"):
        make(**{name: bad})


def test_what_does_not_fit_gets_a_clear_error():
    with pytest.raises(UserError, match="coupled must be True or False"):
        orientations(coupled=1)
    for prior in (colours(), orientations_colours(coupled=True)):
        with pytest.raises(UserError, match="choose a colour task"):
            prior.build((1, 32, 32))
    with pytest.raises(UserError, match="coupled weights need groups"):
        Penalty("x", 0.0, 0.0, coupled=True)
    with pytest.raises(UserError, match="a union of bases has no groups"):
        replace(orientations(), union=("haar",))
    with pytest.raises(UserError, match="too small for 3 levels of db4"):
        union().build((1, 16, 16))
