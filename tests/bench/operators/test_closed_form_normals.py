"""Normal operators with known singular vectors are those of the physics, and so are their resolvents and gradients."""

from __future__ import annotations

import pytest
import torch
from deepinv.physics import MRI, Demosaicing, Downsampling, MultiCoilMRI, Tomography

from bench.operators import DataFidelity, data_fidelity
from bench.operators.normal import ComposedNormal, SpectralNormal, normal_operator, spectrum_bounds
from bench.operators.volume_blur import VolumeBlur
from bench.tasks.mri import cartesian_mask
from bench.tasks.mri_coils import simulated_maps
from bench.tasks.mri_volume import encoding_mask
from bench.utils.errors import UserError
from tests.helpers.physics import draw
from tests.helpers.tensors import F64

N = 12
MASK = cartesian_mask((2, N, N), 3.0, torch.Generator().manual_seed(1))
VOLUME = encoding_mask((2, 4, 6, 5), 2.0, torch.Generator().manual_seed(1))


def decimated(kernel, factor=2, channels=1):
    return Downsampling(img_size=(channels, N, N), filter=kernel, factor=factor, padding="circular")


PHYSICS = {
    "one coil": (lambda: MRI(mask=MASK * draw(3, 1, 1, N, N)), (2, N, N)),
    "a mask a sample": (lambda: MRI(mask=MASK * draw(3, 2, 1, N, N)), (2, N, N)),
    "Bayer's pattern": (lambda: Demosaicing((3, N, N)).to(F64), (3, N, N)),
    "decimation by 2": (lambda: decimated(draw(3, 1, 1, 5, 5)), (1, N, N)),
    "decimation by 3": (lambda: decimated(draw(3, 1, 1, 3, 5), 3), (1, N, N)),
    "an even filter": (lambda: decimated(draw(3, 1, 1, 4, 6), 4), (1, N, N)),
    "a filter a colour": (lambda: decimated(draw(3, 1, 3, 5, 5), 2, 3), (3, N, N)),
    "one filter of three colours": (lambda: decimated(draw(3, 1, 1, 5, 5), 2, 3), (3, N, N)),
    "a blur of volumes": (lambda: VolumeBlur((1, 4, 6, 7), 0.1 * draw(3, 1, 1, 3, 4, 5)), (1, 4, 6, 7)),
    "a blur of volumes of even sides": (
        lambda: VolumeBlur((1, 6, 4, 8), 0.1 * draw(3, 1, 1, 5, 3, 3)),
        (1, 6, 4, 8),
    ),
    "one coil, volumes": (lambda: MRI(mask=VOLUME * draw(3, 1, 1, 4, 6, 5), three_d=True), (2, 4, 6, 5)),
}


def of(name) -> tuple[DataFidelity, torch.Tensor, object]:
    make, shape = PHYSICS[name]
    physics = make()
    x = draw(5, 2, *shape) - 0.3
    y = physics.A(x) + 0.1 * (draw(6, *physics.A(x).shape) - 0.5)
    return data_fidelity(y, physics), draw(7, 2, *shape) - 0.5, physics


@pytest.mark.parametrize("name", PHYSICS)
def test_the_gradient_of_the_data_term_is_that_of_the_physics(name):
    data, x, physics = of(name)
    assert isinstance(data.normal, SpectralNormal)
    expected = physics.A_adjoint(data.y - physics.A(x))
    torch.testing.assert_close(data.descent(x), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(data.normal.adjoint(data.y), physics.A_adjoint(data.y), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", PHYSICS)
def test_the_prox_solves_its_equation(name):
    """``κ p + γ AᵀA p = z + c + γ Aᵀy``."""
    data, z, physics = of(name)
    p = data.prox(z, 0.7, 1.3, 0.2)
    left = 1.3 * p + 0.7 * physics.A_adjoint(physics.A(p))
    right = z + 0.2 + 0.7 * physics.A_adjoint(data.y)
    torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PHYSICS)
def test_the_eigenvalues_are_those_of_the_dense_matrix(name):
    make, shape = PHYSICS[name]
    physics = make()
    if "a sample" in name:
        physics = MRI(mask=physics.mask[:1])
    basis = torch.eye(torch.Size(shape).numel(), dtype=F64).view(-1, 1, *shape)
    matrix = torch.stack([physics.A_adjoint(physics.A(e)).flatten() for e in basis], 1)
    N_ = normal_operator(physics)
    assert isinstance(N_, SpectralNormal)
    values = N_.eigenvalues().sort().values
    torch.testing.assert_close(values, torch.linalg.eigvalsh(matrix), rtol=0, atol=1e-10)
    least, largest = spectrum_bounds(N_)
    assert least <= float(values[0])
    assert largest >= float(values[-1])


@pytest.mark.parametrize("name", PHYSICS)
def test_a_part_of_a_batch_has_its_own_data_term(name):
    data, x, _ = of(name)
    index = torch.tensor([1])
    torch.testing.assert_close(data.select(index).descent(x[1:]), data.descent(x)[1:], rtol=0, atol=1e-14)


@pytest.mark.parametrize("make", [lambda k: decimated(k), lambda k: MRI(mask=MASK * k)])
def test_the_derivative_in_the_filter_and_in_the_mask_is_that_of_the_physics(make):
    value = (
        draw(3, 1, 1, 5, 5)
        if make(torch.ones(1, 1, 1, 1, dtype=F64)).__class__ is Downsampling
        else MASK[:, :1]
    )
    leaf = value.clone().requires_grad_()
    physics = make(leaf)
    shape = (2, 1, N, N) if isinstance(physics, Downsampling) else (2, 2, N, N)
    x, u = draw(7, *shape).requires_grad_(), draw(8, *shape)
    y = physics.A(draw(9, *shape)).detach()
    plain = physics.A_adjoint(y - physics.A(x))
    expected = torch.autograd.grad((plain * u).sum(), [x, leaf])
    found = torch.autograd.grad((data_fidelity(y, make(leaf)).descent(x) * u).sum(), [x, leaf])
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_a_mask_that_treats_the_parts_differently_has_no_closed_form():
    """It is no sampling of a complex transform, so the transform does not diagonalise it."""
    physics = MRI(mask=torch.cat((MASK[:, :1], 1 - MASK[:, :1]), 1))
    assert isinstance(normal_operator(physics), ComposedNormal)
    x = draw(7, 1, 2, N, N)
    data = data_fidelity(physics.A(x), physics)
    torch.testing.assert_close(data.descent(2 * x), -physics.A_adjoint(physics.A(x)), rtol=0, atol=1e-13)


COMPOSED = {
    "coils": (lambda: MultiCoilMRI(mask=MASK, coil_maps=simulated_maps(3, N, N)), (2, N, N)),
    "projections": (
        lambda: Tomography(angles=torch.arange(7, dtype=F64) * 25, img_width=N, normalize=False, dtype=F64),
        (1, N, N),
    ),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_a_known_physics_without_a_closed_form_has_bounds_and_keeps_no_tape(name):
    make, shape = COMPOSED[name]
    physics = make()
    x = draw(7, 2, *shape).requires_grad_()
    data = data_fidelity(physics.A(draw(8, 2, *shape)), physics)
    assert data.spectrum() is not None
    with pytest.raises(UserError, match="has no closed form: choose forward_backward"):
        data.prox(x, 1.0)
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        descent = data.descent(x)
    assert not kept
    u = draw(9, 2, *shape)
    (product,) = torch.autograd.grad(descent, x, u)
    torch.testing.assert_close(product, -physics.A_adjoint(physics.A(u)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", COMPOSED)
def test_the_same_numbers_in_float64_are_close(name):
    make, shape = COMPOSED[name]
    single = data_fidelity(make().A(draw(8, 2, *shape)).float(), _single(name))
    double = single.in_float64()
    assert double is not None
    x = draw(7, 2, *shape)
    assert double.descent(x).dtype == F64
    own = single.descent(x.float()).double()
    size = float(own.norm())
    assert 0 < float((double.descent(x) - own).norm()) <= 1e-5 * size


def _single(name):
    if name == "coils":
        maps = simulated_maps(3, N, N).to(torch.complex64)
        return MultiCoilMRI(mask=MASK.float(), coil_maps=maps)
    return Tomography(angles=torch.arange(7) * 25.0, img_width=N, normalize=False)


@pytest.mark.parametrize("name", COMPOSED)
def test_the_rounding_is_within_its_units(name):
    """In float32, whose rounding float64 shows."""
    make, shape = COMPOSED[name]
    single = data_fidelity(make().A(draw(8, 2, *shape)).float(), _single(name))
    double, x = single.in_float64(), draw(7, 2, *shape).float()
    assert double is not None
    spectrum = double.spectrum()
    assert spectrum is not None
    error = float((single.normal(x).double() - double.normal(x.double())).norm())
    units = torch.finfo(torch.float32).eps / 2 * spectrum[1] * float(x.norm())
    assert 0 < error <= single.rounding() * units


def test_a_bound_follows_the_maps_that_it_is_of():
    physics = MultiCoilMRI(mask=MASK, coil_maps=simulated_maps(3, N, N))
    y = physics.A(draw(7, 1, 2, N, N))
    data = data_fidelity(y, physics)
    first = data.spectrum()
    assert first is not None
    physics.update(coil_maps=2 * simulated_maps(3, N, N))
    second = data_fidelity(y, physics).spectrum()
    assert second is not None
    assert second[1] == pytest.approx(4 * first[1])
    with torch.no_grad():
        physics.coil_maps.mul_(0.5)
    third = data_fidelity(y, physics).spectrum()
    assert third is not None
    assert third[1] == pytest.approx(first[1])
