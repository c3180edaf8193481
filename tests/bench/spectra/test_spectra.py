"""Bounds on the eigenvalues of ``AᵀA``: against dense matrices, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from deepinv.physics import (
    MRI,
    BlurFFT,
    Downsampling,
    Inpainting,
    LinearPhysics,
    MultiCoilMRI,
    Tomography,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.spectra import Basis, Spectrum, check_adjoint, spectrum_of
from bench.spectra.collatz_wielandt import enclose
from bench.spectra.lanczos import largest_ritz
from bench.tasks.mri import cartesian_mask
from bench.tasks.mri_coils import normalised, simulated_maps
from bench.utils.errors import UserError
from tests.helpers.tensors import F64

N = 12


def dense(physics, shape):
    """The matrix ``AᵀA``, column by column."""
    basis = torch.eye(torch.Size(shape).numel(), dtype=F64).view(-1, *shape)
    columns = [physics.A_adjoint(physics.A(e[None])).flatten() for e in basis]
    return torch.stack(columns, 1)


def projections(**options):
    angles = torch.arange(7, dtype=F64) * (180 / 7)
    return Tomography(angles=angles, img_width=N, normalize=False, dtype=F64, **options)


def coils(mask, maps=None):
    maps = simulated_maps(3, N, N) if maps is None else maps
    return MultiCoilMRI(mask=mask, coil_maps=maps, img_size=(N, N))


def draw(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def decimated(factor, kernel):
    return Downsampling(img_size=(1, N, N), filter=kernel, factor=factor, padding="circular")


class Stated(LinearPhysics):
    """A turn, times 3, that states its own bounds."""

    def A(self, x, **_):
        return 3 * x.roll(1, -1)

    def A_adjoint(self, y, **_):
        return 3 * y.roll(-1, -1)

    def spectrum(self, shape):
        return Spectrum(9.0, 9.0, Basis.PROVEN, 9.0)


LINES = cartesian_mask((2, N, N), 3.0, torch.Generator().manual_seed(1))
CASES = {
    "projections": (projections, (1, N, N), Basis.PROVEN, 1e-4),
    "projections in a circle": (lambda: projections(circle=True), (1, N, N), Basis.PROVEN, 1e-4),
    "fan beam": (lambda: projections(fan_beam=True), (1, N, N), Basis.PROVEN, 1e-4),
    "coils, columns": (lambda: coils(LINES), (2, N, N), Basis.EXACT, 1e-9),
    "coils, rows": (lambda: coils(LINES.transpose(-2, -1).contiguous()), (2, N, N), Basis.EXACT, 1e-9),
    "coils, maps of noise": (
        lambda: coils(LINES, torch.complex(draw(1, 3, N, N), draw(1, 3, N, N, seed=1))),
        (2, N, N),
        Basis.EXACT,
        1e-9,
    ),
    "coils, all of k-space": (lambda: coils(torch.ones(N, N, dtype=F64)), (2, N, N), Basis.EXACT, 1e-9),
    "coils, points of k-space": (
        lambda: coils((draw(N, N) < 0.5).to(F64)),
        (2, N, N),
        Basis.PROVEN,
        1.0,
    ),
    "one coil": (lambda: MRI(mask=LINES), (2, N, N), Basis.EXACT, 1e-12),
    "a filter, by 2": (lambda: decimated(2, draw(1, 1, 5, 5)), (1, N, N), Basis.EXACT, 1e-9),
    "an even filter, by 3": (lambda: decimated(3, draw(1, 1, 4, 6) - 0.4), (1, N, N), Basis.EXACT, 1e-9),
    "a filter, not decimated": (lambda: decimated(1, draw(1, 1, 3, 3)), (1, N, N), Basis.EXACT, 1e-9),
    "a blur": (lambda: BlurFFT((1, N, N), draw(1, 1, 3, 3)), (1, N, N), Basis.EXACT, 1e-9),
    "lost pixels": (
        lambda: Inpainting((1, N, N), mask=(draw(1, N, N) < 0.5).to(F64)),
        (1, N, N),
        Basis.EXACT,
        0,
    ),
    "a physics that states its own": (Stated, (1, N, N), Basis.PROVEN, 1e-12),
}


@pytest.mark.parametrize("name", CASES)
def test_the_bounds_hold_the_eigenvalues_of_the_dense_matrix(name):
    make, shape, basis, gap = CASES[name]
    physics = make()
    check_adjoint(physics, shape, F64)
    found = spectrum_of(physics, shape)
    values = torch.linalg.eigvalsh(dense(physics, shape))
    slack = 1e-12 * float(values[-1])
    assert found.basis is basis
    assert found.smallest <= float(values[0]) + slack
    assert found.largest >= float(values[-1]) - slack
    assert found.largest <= float(values[-1]) * (1 + gap) + slack
    if basis is Basis.EXACT:
        assert found.smallest >= max(0.0, float(values[0])) - 1e-9 * float(values[-1])
    if found.attained is not None:
        assert found.attained <= float(values[-1]) + slack
    assert found.applications <= 20


def test_the_largest_eigenvalues_of_the_tasks_are_enclosed_to_a_thousandth():
    """‖A‖² of tomography, of coils and of super-resolution, on both sides, in at most 20 applications."""
    size = 64
    angles = torch.arange(30, dtype=F64) * 6
    cases = (
        (Tomography(angles=angles, img_width=size, normalize=False, dtype=F64), (1, size, size)),
        (
            MultiCoilMRI(
                mask=cartesian_mask((2, size, size), 4.0, torch.Generator().manual_seed(0)),
                coil_maps=simulated_maps(4, size, size),
            ),
            (2, size, size),
        ),
        (Downsampling(img_size=(1, size, size), filter=draw(1, 1, 5, 5), factor=2), (1, size, size)),
    )
    for physics, shape in cases:
        found = spectrum_of(physics, shape)
        assert found.rigorous
        assert found.looseness <= 1e-3
        assert found.applications <= 20


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 8), zeros=st.floats(0, 0.9))
def test_collatz_wielandt_holds_for_every_matrix_without_negative_entries(seed, n, zeros):
    rng = torch.Generator().manual_seed(seed)
    A = torch.rand(n + 2, n, generator=rng, dtype=F64)
    A = A * (torch.rand(A.shape, generator=rng, dtype=F64) >= zeros)
    B = A.T @ A
    found = enclose(lambda x: B @ x, torch.ones(n, dtype=F64), 20)
    largest = float(torch.linalg.eigvalsh(B)[-1])
    assert found is not None
    assert found.lower <= largest * (1 + 1e-12) + 1e-300
    assert found.upper >= largest * (1 - 1e-12)


def test_a_negative_entry_is_noticed():
    B = torch.tensor([[2.0, -3.0], [-3.0, 5.0]], dtype=F64)
    assert enclose(lambda x: B @ x, torch.ones(2, dtype=F64)) is None


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_ritz_value_is_a_lower_bound_with_an_eigenvalue_within_its_residual(seed):
    A = torch.randn(9, 7, generator=torch.Generator().manual_seed(seed), dtype=F64)
    B = A.T @ A
    found = largest_ritz(lambda x: B @ x, (7,), 3)
    values = torch.linalg.eigvalsh(B)
    assert found.value <= float(values[-1]) * (1 + 1e-12)
    assert float((values - found.value).abs().min()) <= found.residual + 1e-10


def test_an_unknown_physics_has_an_estimate():
    turned = LinearPhysics(A=lambda x, **_: 2 * x.roll(1, -1), A_adjoint=lambda y, **_: 2 * y.roll(-1, -1))
    found = spectrum_of(turned, (1, N, N))
    assert found.basis is Basis.ESTIMATE
    assert not found.rigorous
    assert found.largest == pytest.approx(4.0, rel=1e-9)
    assert found.smallest == 0


def test_a_subclass_is_another_map():
    """It may have any matrix; so nothing is proven of it."""

    class Signed(Tomography):
        def A(self, x, **_):
            y = super().A(x)
            return torch.cat((y[..., :3, :], -y[..., 3:, :]), -2)

    angles = torch.arange(7, dtype=F64) * (180 / 7)
    signed = Signed(angles=angles, img_width=N, normalize=False, dtype=F64)
    assert spectrum_of(signed, (1, N, N)).basis is Basis.ESTIMATE


def test_a_physics_that_was_used_in_another_precision_is_not_changed():
    """deepinv caches the adjoint: that of a copy must be of the copy."""
    physics = Tomography(angles=torch.arange(7) * (180 / 7), img_width=N, normalize=False)
    y = physics.A(torch.ones(1, 1, N, N))
    before = physics.A_adjoint(y)
    found = spectrum_of(physics, (1, N, N))
    assert found.basis is Basis.PROVEN
    assert found.largest == pytest.approx(spectrum_of(projections(), (1, N, N)).largest, rel=1e-6)
    torch.testing.assert_close(physics.A_adjoint(y), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("physics", "shape", "message"),
    [
        pytest.param(
            projections(adjoint_via_backprop=False),
            (1, N, N),
            "A_adjoint of Tomography is not the adjoint of A",
            marks=pytest.mark.misuse(
                "a physics whose A_adjoint is not the adjoint of A", "refused: … is not the adjoint of A"
            ),
        ),
        (
            LinearPhysics(A=lambda x, **_: x, A_adjoint=lambda y, **_: -y),
            (1, N, N),
            "not the adjoint of A",
        ),
        pytest.param(
            LinearPhysics(A=lambda x, **_: torch.fft.fft2(x), A_adjoint=lambda y, **_: torch.fft.ifft2(y)),
            (1, N, N),
            "keep the real and the imaginary part of an image in two channels",
            marks=pytest.mark.misuse(
                "a task whose physics makes complex numbers", "refused: keep the parts in two channels"
            ),
        ),
        (
            LinearPhysics(A=lambda x, **_: x, A_adjoint=lambda y, **_: y[..., :3]),
            (1, N, N),
            "of the measurements of an image",
        ),
        (MRI(mask=LINES), (1, N, N), "does not take images"),
    ],
)
def test_a_wrong_adjoint_gets_one_clear_line(physics, shape, message):
    with pytest.raises(UserError, match=message) as caught:
        check_adjoint(physics, shape, F64)
    assert "\n" not in str(caught.value)


@pytest.mark.misuse("a coil map that is zero, or not finite", "refused: coil map … is zero everywhere")
def test_a_coil_map_that_vanishes_gets_one_clear_line():
    maps = simulated_maps(3, N, N)
    maps[:, 1] = 0
    with pytest.raises(UserError, match="coil map 1 of 3 is zero everywhere"):
        spectrum_of(coils(LINES, maps), (2, N, N))
    with pytest.raises(UserError, match="coil map 1 of 3 is zero everywhere"):
        normalised(maps)
    seen = simulated_maps(3, N, N)
    seen[..., 2, 3] = 0
    with pytest.raises(UserError, match="all coil maps vanish at 1 pixels"):
        normalised(seen)
    maps[:, 1] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        spectrum_of(coils(LINES, maps), (2, N, N))


def test_bounds_in_the_wrong_order_are_refused():
    for smallest, largest in ((-1.0, 2.0), (2.0, 1.0), (0.0, float("inf"))):
        with pytest.raises(UserError, match="cannot lie in"):
            Spectrum(smallest, largest, Basis.PROVEN)
