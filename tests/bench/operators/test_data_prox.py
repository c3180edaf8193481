"""The prox of the data term in closed form, and its derivatives; float64."""

from __future__ import annotations

import pytest
import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting

from bench.operators import data_fidelity, douglas_rachford, half_quadratic
from bench.penalties import huber
from tests.helpers.splittings import PHYSICS, SHAPE, blur, lost, measured, operator_of
from tests.helpers.tensors import F64, draw


@pytest.mark.parametrize("physics", PHYSICS)
@pytest.mark.parametrize("gamma", [0.1, 3.0, torch.tensor(3.0, dtype=F64)])
@pytest.mark.parametrize("shift", [1.0, 1.5])
def test_it_solves_its_equation(physics, gamma, shift):
    """``κx + γAᵀ(Ax − y) = z``, by the methods of the physics."""
    made = PHYSICS[physics]()
    y, z = measured(made), draw(9, 2, *SHAPE)
    kept = z.clone()
    x = data_fidelity(y, made).prox(z, gamma, shift)
    assert x.dtype == F64
    torch.testing.assert_close(
        shift * x + gamma * made.A_adjoint(made.A(x) - y), z, rtol=0, atol=1e-13, check_dtype=False
    )
    assert torch.equal(z, kept), "the argument was overwritten"


def test_a_float32_mask_leaves_a_float64_prox_exact():
    """The mask of deepinv's ``Denoising`` is float32: ``1/(1 + γ)`` was rounded to it."""
    assert Denoising().mask.dtype == torch.float32
    z, y = draw(0, 1, *SHAPE), draw(1, 1, *SHAPE)
    found = data_fidelity(y, Denoising()).prox(z, 0.7)
    torch.testing.assert_close(found, (z + 0.7 * y) / 1.7, rtol=0, atol=1e-15)


def gained(mask):
    physics = Denoising()
    physics.mask = mask
    return physics


SMALL = (1, 4, 6)
LEARNED = {
    "a kernel": (draw(2, 1, 1, 3, 3) / 3, lambda k: BlurFFT(SMALL, k)),
    "a mask": (draw(3, *SMALL), lambda m: Inpainting(SMALL, mask=m)),
    "a mask a sample": (draw(3, 2, *SMALL), lambda m: Inpainting(SMALL, mask=m)),
    "a gain": (draw(3, 1), gained),
}


@pytest.mark.parametrize("name", LEARNED)
def test_its_derivatives_are_whole(name):
    """In the state, the measurements, γ, and what the physics is made of; together and each alone."""
    value, make = LEARNED[name]
    leaves = [value, draw(4, 2, *SMALL), draw(5, 2, *SMALL), torch.tensor(0.7, dtype=F64)]

    def prox(value, y, z, gamma):
        return data_fidelity(y, make(value)).prox(z, gamma, 1.3)

    for learned in ({0, 1, 2, 3}, {0}, {1}, {2}, {3}):
        given = tuple(leaf.clone().requires_grad_(i in learned) for i, leaf in enumerate(leaves))
        assert torch.autograd.gradcheck(prox, given)


@pytest.mark.parametrize("splitting", [douglas_rachford(0.8), half_quadratic()], ids=lambda s: s.label)
@pytest.mark.parametrize("make", [blur, lost])
def test_an_operator_has_the_derivative_in_the_physics(make, splitting):
    """Of an application and of the image, against differences."""
    physics = make()
    operator, y = operator_of(splitting, huber(0.05, 0.2), physics), measured(physics)
    z, v, w = (draw(i, 2, *SHAPE) for i in (5, 6, 7))
    kernel = isinstance(physics, BlurFFT)
    start = (physics.filter if kernel else physics.mask).detach().clone()

    def value(leaf):
        made = BlurFFT(SHAPE, leaf) if kernel else Inpainting(SHAPE, mask=leaf)
        T = operator.bind(y, made)
        return (v * T(z)).sum() + (w * T.image(z)).sum()

    leaf = start.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(value(leaf), leaf)
    direction = draw(8, *start.shape)
    direction /= direction.norm()
    with torch.no_grad():
        found = (value(start + 1e-5 * direction) - value(start - 1e-5 * direction)) / 2e-5
    assert float((gradient * direction).sum()) == pytest.approx(float(found), rel=1e-6)


def test_a_sample_is_picked_with_its_own_mask():
    y, z = draw(4, 2, *SMALL), draw(5, 2, *SMALL)
    term = data_fidelity(y, Inpainting(SMALL, mask=draw(3, 2, *SMALL)))
    alone = term.select(torch.tensor([1])).prox(z[1:], 0.7)
    torch.testing.assert_close(alone, term.prox(z, 0.7)[1:], rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", LEARNED)
def test_where_it_was_bound_and_how_often_it_is_differentiated_does_not_matter(name):
    value, make = LEARNED[name]
    y, z = draw(4, 2, *SMALL), draw(5, 2, *SMALL)
    leaf = value.clone().requires_grad_()
    physics, other = make(leaf), make(leaf)
    with torch.no_grad():
        untaped = data_fidelity(y, physics)
    taped = data_fidelity(y, other)
    found = [
        torch.autograd.grad(term.prox(z, 0.7).square().sum(), leaf, retain_graph=True)[0]
        for term in (untaped, taped, taped)
    ]
    for gradient in found[1:]:
        torch.testing.assert_close(gradient, found[0], rtol=1e-13, atol=1e-15)
    assert found[0].norm() > 0
