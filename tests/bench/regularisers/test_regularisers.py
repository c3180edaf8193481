"""Learned regularisers: energies and gradients, bounds on curvature, and files of weights."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import save_file

from bench.config.lookup import DenoiserOptions, parse_task
from bench.denoisers.architectures import convolution_norm
from bench.regularisers import REGULARISERS, InputConvexRegulariser, RidgeRegulariser
from bench.regularisers.convolutions import GRID, convolve, convolve_adjoint, symbol_maximum
from bench.utils.errors import UserError
from tests.helpers.tensors import F64

CALLS = [(name, circular) for name in REGULARISERS for circular in (False, True)]


def regulariser(name, circular=False, spread=0.5):
    """With parameters that differ from channel to channel, and an image at whose coefficients both sides occur."""
    R = REGULARISERS[name](circular).regulariser(F64, "cpu").requires_grad_(False)
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for key, p in R.named_parameters():
            if key in ("scalings", "weights", "inner_bias", "outer_bias"):
                p.add_(spread * torch.randn(p.shape, generator=rng, dtype=F64))
        if isinstance(R, InputConvexRegulariser):
            R.weights.add_(6)
            R.outer.mul_(300)
            R.outer_bias.sub_(0.2)
    return R


def images(count=2, side=20, seed=0):
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(seed), dtype=F64)


def hessian_product(R, x, v):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(R.gradient(x), x, v)[0]


@pytest.mark.parametrize(("name", "circular"), CALLS)
def test_the_gradient_is_that_of_the_energy(name, circular):
    R, x = regulariser(name, circular), images().requires_grad_()
    (expected,) = torch.autograd.grad(R.energy(x).sum(), x)
    torch.testing.assert_close(R.gradient(x), expected, rtol=1e-10, atol=1e-14)
    assert float(expected.norm()) > 0.1


@pytest.mark.parametrize(("name", "circular"), CALLS)
def test_the_energy_of_an_image_is_its_own(name, circular):
    R, x = regulariser(name, circular), images(3)
    torch.testing.assert_close(R(x), torch.cat([R(x[i : i + 1]) for i in range(3)]))
    assert R(x).shape == (3,)


@pytest.mark.parametrize(("name", "circular"), CALLS)
def test_second_derivatives_lie_within_the_bounds(name, circular):
    """Rayleigh quotients of the Hessian, along a random direction and along that of power iteration."""
    R = regulariser(name, circular)
    bounds = R.curvature()
    assert bounds.proven
    largest = 0.0
    for start, size in enumerate((1, 1e-2, 1e-4)):  # coefficients beyond the kinks, and within
        x = size * images(1)
        v = torch.randn(x.shape, generator=torch.Generator().manual_seed(start), dtype=F64)
        for _ in range(30):
            if not float(v.norm()):
                break  # no coefficient is within its kink
            v = v / v.norm()
            Hv = hessian_product(R, x, v)
            quotient = float((v * Hv).sum())
            assert -bounds.weak * (1 + 1e-9) - 1e-12 <= quotient <= bounds.largest * (1 + 1e-9)
            largest, v = max(largest, quotient), Hv
    # A bound that is not vacuous: it is a product of norms, so not attained.
    assert largest > 1e-3 * bounds.largest


@pytest.mark.parametrize("circular", [False, True])
def test_crr_and_icnn_are_convex_and_the_others_are_up_to_their_modulus(circular):
    line = torch.linspace(-1, 1, 41, dtype=F64).view(-1, 1, 1, 1)
    points = images(1) + 0.3 * line * (images(1, seed=1) - 0.5)
    for name in REGULARISERS:
        R = regulariser(name, circular)
        weak = R.curvature().weak
        assert (weak > 0) is (name in ("wcrr", "foe"))
        energy = R(points).detach() + weak / 2 * points.square().sum((1, 2, 3))
        assert float(energy.diff(n=2).min()) > -1e-9


def test_wcrr_does_not_grow_far_from_0():
    """A convex function with a bound above is constant."""
    R = regulariser("wcrr", True)
    near, far, farther = (float(R(size * (images(1) - 0.5)).detach()) for size in (0.1, 1e4, 2e4))
    assert 0 < near < 0.9 * far
    assert farther == pytest.approx(far, rel=1e-2)


@pytest.mark.parametrize(("name", "circular"), CALLS)
def test_a_constant_image_costs_nothing_inside(name, circular):
    """The first filters have zero mean; a zero boundary is an edge, a circular one is none."""
    R = REGULARISERS[name](circular).regulariser(F64, "cpu").requires_grad_(False)
    x = torch.full((1, 1, 40, 40), 0.7, dtype=F64)
    slope = R.gradient(x)[..., 20:21, 20:21] if not circular else R.gradient(x)
    assert float(slope.abs().max()) < 1e-12


@pytest.mark.parametrize("circular", [False, True])
def test_the_adjoint_of_a_chain_of_convolutions(circular):
    rng = torch.Generator().manual_seed(2)
    kernels = [torch.randn(s, generator=rng, dtype=F64) for s in ((3, 1, 5, 5), (7, 3, 3, 3))]
    x, z = images(2, 14), torch.randn(2, 7, 14, 14, generator=rng, dtype=F64)
    left = (convolve(x, kernels, circular) * z).sum()
    torch.testing.assert_close(left, (x * convolve_adjoint(z, kernels, circular)).sum())


@pytest.mark.parametrize("circular", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (6, 2, 5, 5), (2, 6, 5, 5), (3, 3, 1, 1)])
def test_the_norm_of_a_convolution_is_bounded_and_nearly_attained(shape, circular):
    kernel = torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=F64)
    x = torch.randn(1, shape[1], 48, 48, generator=torch.Generator().manual_seed(8), dtype=F64)
    for _ in range(300):
        x = convolve_adjoint(convolve(x / x.norm(), [kernel], circular), [kernel], circular)
    norm = math.sqrt(float(x.norm()))
    bound = convolution_norm(kernel, GRID)
    assert 0.9 * bound < norm <= bound


def test_the_kernels_are_scaled_to_norm_1():
    R = regulariser("crr")
    assert float(symbol_maximum(R.filters(), 256)) == pytest.approx(1)
    assert float(R.filters()[0].mean((1, 2, 3)).abs().max()) < 1e-15


def saved(folder, name, change=None):
    """Weights in the names of the study."""
    prior = REGULARISERS[name]()
    state = regulariser(name).state_dict()
    names = prior.family.study_names or {key: key for key in state}
    tensors = {theirs: state[ours].float().contiguous() for ours, theirs in names.items()}
    if change is not None:
        change(tensors)
    file = folder / f"{name}.safetensors"
    save_file(tensors, file)
    return str(file)


@pytest.mark.parametrize("name", REGULARISERS)
def test_weights_load_in_the_names_of_the_study_and_in_ours(name, tmp_path):
    file = saved(tmp_path, name)
    R = REGULARISERS[name]().with_weights(file).regulariser(F64, "cpu").requires_grad_(False)
    for key, value in regulariser(name).state_dict().items():
        torch.testing.assert_close(R.state_dict()[key], value.float().double(), rtol=0, atol=0)
    save_file(
        {key: value.contiguous() for key, value in R.state_dict().items()}, tmp_path / "own.safetensors"
    )
    again = (
        REGULARISERS[name]()
        .with_weights(str(tmp_path / "own.safetensors"))
        .regulariser(F64, "cpu")
        .requires_grad_(False)
    )
    torch.testing.assert_close(again.gradient(images()), R.gradient(images()), rtol=0, atol=0)


def test_the_weights_of_a_run_reach_the_task_and_its_label(tmp_path):
    task = parse_task("denoising(crr(circular=True))", DenoiserOptions(saved(tmp_path, "crr")))
    assert task.label == "denoising(crr(circular=True, weights=crr.safetensors))"
    operator = task.prior.operator((1, 16, 16), 0.5, F64, "cpu")
    assert isinstance(operator.regulariser, RidgeRegulariser)


@pytest.mark.misuse(
    "weights of another regulariser, or with a value that is not finite", "refused: which one"
)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("alpha"), "are not of this RidgeRegulariser"),
        (lambda t: t.update(alpha=torch.zeros(2)), "strength is"),
        (lambda t: t["alpha"].fill_(math.nan), "not finite numbers, in strength"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_a_line(change, message, tmp_path):
    prior = REGULARISERS["crr"]().with_weights(saved(tmp_path, "crr", change))
    with pytest.raises(UserError, match=message) as error:
        prior.regulariser(F64, "cpu").requires_grad_(False)
    assert "\n" not in str(error.value)


def test_colour_images_are_refused():
    with pytest.raises(UserError, match="takes grey images, not 3 channels"):
        REGULARISERS["icnn"]().operator((3, 16, 16), 0.5, F64, "cpu")
