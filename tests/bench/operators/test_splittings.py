"""Splittings: labels, wrong values, and what they refuse."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch
from deepinv.physics import Blur, LinearPhysics, MultiCoilMRI, Tomography

from bench.config.call_syntax import parse_call
from bench.operators import SPLITTINGS, douglas_rachford, half_quadratic
from bench.operators.proximal import Regulariser
from bench.penalties import Penalty, huber, orientations
from bench.utils.errors import UserError
from tests.helpers.splittings import SHAPE, blur, lost, operator_of
from tests.helpers.tensors import draw


@pytest.mark.parametrize(
    "label",
    [
        "douglas_rachford",
        "douglas_rachford(alpha=0.7, gamma=2.0)",
        "douglas_rachford(depth=3)",
        "peaceman_rachford",
        "peaceman_rachford(gamma=0.5)",
        "peaceman_rachford(depth=10)",
        "half_quadratic",
        "half_quadratic(gamma=0.1)",
        "forward_backward",
    ],
)
def test_a_label_is_the_call_that_makes_it(label):
    made = parse_call(label, SPLITTINGS, "splitting")
    assert made.label == label
    assert pickle.loads(pickle.dumps(made)) == made
    assert "object at" not in repr(made), "a key made of it would change from run to run"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("douglas_rachford(gamma=0)", "gamma must be a positive number, not 0"),
        ("douglas_rachford(gamma=-1)", "gamma must be a positive number"),
        ("douglas_rachford(alpha=0)", "alpha must be a positive number, not 0"),
        ("douglas_rachford(alpha=2)", r"alpha must lie in \(0, 2\), not 2"),
        ("douglas_rachford(alpha=True)", "alpha must be a positive number, not True"),
        ("douglas_rachford(depth=-1)", "depth must be a whole number from 0 to 10000"),
        ("douglas_rachford(depth=1.5)", "depth must be a whole number"),
        ("peaceman_rachford(2, 3)", "gamma and depth both choose γ: give one of them"),
        ("admm(0)", "rho must be a positive number"),
        ("half_quadratic(0)", "gamma must be a positive number"),
        ("peacemann_rachford", "did you mean peaceman_rachford"),
    ],
)
def test_a_wrong_value_gets_one_clear_line(call, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_call(call, SPLITTINGS, "splitting")
    assert "\n" not in str(caught.value)


class Shift(LinearPhysics):
    """A user's own, of which nothing is known."""

    def A(self, x, **_):
        return x.roll(1, -1)

    def A_adjoint(self, y, **_):
        return y.roll(-1, -1)


OPEN = {
    "Tomography": lambda: Tomography(angles=8, img_width=8, normalize=False, device="cpu"),
    "MultiCoilMRI": lambda: MultiCoilMRI(
        img_size=(2, 8, 8), coil_maps=torch.ones(2, 8, 8, dtype=torch.complex64)
    ),
    "Blur": lambda: Blur(blur().filter, padding="valid"),
    "Shift": Shift,
}


@pytest.mark.parametrize("name", OPEN)
@pytest.mark.parametrize("splitting", ["douglas_rachford", "peaceman_rachford(depth=3)", "half_quadratic"])
def test_a_physics_whose_prox_has_no_closed_form_is_refused(splitting, name):
    physics = OPEN[name]()
    made = parse_call(splitting, SPLITTINGS, "splitting")
    with pytest.raises(UserError) as caught:
        operator_of(made, huber(), physics)
    assert str(caught.value) == (
        f"{splitting} needs the prox of the data term in closed form, and that of {name} has none: "
        "choose forward_backward or primal_dual"
    )
    # Bound to it later, it says so too.
    operator = operator_of(made, huber(), lost())
    with pytest.raises(UserError, match="Shift has no closed form: choose forward_backward"):
        operator(draw(0, 1, *SHAPE), draw(1, 1, *SHAPE), Shift())


class Stretched(Regulariser):
    """A user's penalty whose synthesis is not orthonormal."""

    def prox(self, z, step):
        return z

    def image(self, state):
        return 2 * state

    def range(self):
        return 4.0, 4.0


@pytest.mark.parametrize("splitting", [douglas_rachford(), half_quadratic()])
def test_states_on_which_the_prox_has_no_closed_form_are_refused(splitting, monkeypatch):
    coupled = replace(orientations(0.05, 0.2), coupled=True)
    with pytest.raises(UserError, match="in closed form, and none exists where the synthesis is learned"):
        operator_of(splitting, coupled, lost())
    monkeypatch.setattr(Penalty, "without_ridge", lambda *_: Stretched())
    with pytest.raises(UserError, match=r"in closed form, and on the states of .* it has none"):
        operator_of(splitting, huber(), lost())
