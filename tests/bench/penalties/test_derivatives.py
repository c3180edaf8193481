"""Derivatives in state and parameters agree with differences."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from deepinv.physics import Denoising
from hypothesis import given
from hypothesis import strategies as st

from bench.penalties import (
    orientations_colours,
)
from tests.helpers.penalties import (
    EVERY,
    GROUPED,
    STATES,
    blur,
    built,
    every,
    scatter,
    seeds,
    small,
    state_shape,
)
from tests.helpers.tensors import F64, draw


@every
@pytest.mark.parametrize("level", [0.0, 1e-18, 1e-10])
def test_gradients_are_finite_at_a_black_image_in_float32(prior, level):
    operator = prior.operator((3, 32, 32), 1.0, torch.float32, "cpu")
    black = level * draw(0, 1, 3, 32, 32).float()
    for shift in (0.0, 8.0):
        operator.prior.log_weights.data.add_(shift)
        state = operator.start(black).detach().requires_grad_()
        operator.zero_grad()
        out = operator.image(operator(state, black, Denoising()))
        (out.square().sum() + out.sum()).backward()
        for tensor in (out, state.grad, *(p.grad for p in operator.parameters())):
            assert tensor.isfinite().all()


@given(seed=seeds, prior=st.sampled_from(EVERY))
def test_derivatives_agree_with_differences_and_each_other(seed, prior):
    """Forward and reverse mode in the state, also with parameters from outside; steps too short to meet a kink."""
    operator = small(prior).operator((3, 8, 8), 1.0, F64, "cpu")
    scatter(operator.prior, seed)
    physics, y = blur(), draw(seed + 1, 1, 3, 8, 8)
    x, v, u = (draw(seed + k, *state_shape(prior)) for k in (2, 3, 4))
    T = operator.bind(y, physics)
    _, forward = torch.func.jvp(T, (x,), (v,))
    _, back = torch.func.vjp(T, x)
    torch.testing.assert_close((forward * u).sum(), (v * back(u)[0]).sum(), rtol=1e-10, atol=1e-12)
    held = {name: p.detach() for name, p in operator.named_parameters()}
    _, forward = torch.func.jvp(
        lambda x: torch.func.functional_call(operator, held, (x, y, physics)), (x,), (v,)
    )
    torch.testing.assert_close((forward * u).sum(), (v * back(u)[0]).sum(), rtol=1e-10, atol=1e-12)
    difference = (T(x + 1e-7 * v) - T(x - 1e-7 * v)) / 2e-7
    torch.testing.assert_close(difference, forward, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("prior", [*GROUPED, *STATES], ids=lambda p: p.label)
def test_gradients_in_the_parameters_agree_with_differences(prior):
    penalty, tau = built(prior, 0), torch.tensor(0.7, dtype=F64)
    z = 0.7 * draw(2, *state_shape(prior))
    names = [name for name, _ in penalty.named_parameters()]

    def both(*values):
        with patch.dict(penalty._parameters, dict(zip(names, values, strict=True))):
            return penalty.image(penalty.prox(z, tau)), penalty.synthesis_adjoint(z[:, :3])

    values = tuple(p.detach().clone().requires_grad_() for p in penalty.parameters())
    assert torch.autograd.gradcheck(both, values, fast_mode=True)


def test_parameters_from_outside_reach_the_whole_step():
    """``range`` is read off parameters that ``torch.func`` has wrapped."""
    operator = small(orientations_colours(coupled=True)).operator((3, 8, 8), 1.0, F64, "cpu")
    scatter(operator.prior, 0)
    x, y = draw(2, 1, 3, 8, 8), draw(3, 1, 3, 8, 8)
    outside = {name: p.detach().clone() for name, p in operator.named_parameters()}
    step, back = torch.func.vjp(
        lambda theta: torch.func.functional_call(operator, theta, (x, y, blur())), outside
    )
    operator(x, y, blur()).square().sum().backward()
    for name, gradient in back(2 * step)[0].items():
        torch.testing.assert_close(gradient, operator.get_parameter(name).grad)
