"""Wavelets, groups and differences of volumes, against dense matrices and plain loops."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.penalties import huber, orientations, tv, union
from bench.penalties.finite_differences import gradient, gradient_adjoint, gradient_norm_squared
from bench.penalties.groups import ExpandBands, Groups, join, split
from bench.penalties.wavelet_matrix import analysis
from bench.penalties.wavelets import Wavelets
from bench.utils.errors import UserError
from tests.helpers.tensors import F64, draw
from tests.helpers.volumes import SMALL


@pytest.mark.parametrize(
    ("size", "wavelet", "levels"), [((8, 4, 12), "haar", 2), ((16, 16, 8), "db2", 1), ((72, 8, 8), "haar", 3)]
)
def test_wavelets_of_volumes_are_orthonormal(size, wavelet, levels):
    W = Wavelets(size, wavelet, levels, dtype=F64)
    x, c = draw(0, 2, 3, *size), draw(1, 2, 3, *size)
    torch.testing.assert_close(W.synthesise(W.analyse(x)), x, rtol=0, atol=1e-12)
    torch.testing.assert_close(W.analyse(W.synthesise(c)), c, rtol=0, atol=1e-12)
    assert float((W.analyse(x) * c).sum()) == pytest.approx(float((x * W.synthesise(c)).sum()), rel=1e-12)
    assert W.defect < 1e-10


def test_one_level_is_the_product_of_three_matrices():
    size = (8, 12, 72)  # both ways to apply a matrix
    W, x = Wavelets(size, "db2", 1, dtype=F64), draw(0, 2, *size)
    matrices = [analysis("db2", side).to_dense() for side in size]
    expected = torch.einsum("ia,jb,kc,nabc->nijk", *matrices, x)
    torch.testing.assert_close(W.analyse(x), expected, rtol=0, atol=1e-12)


def test_a_second_level_transforms_the_corner():
    one, two = (Wavelets((16, 8, 8), "haar", levels, dtype=F64) for levels in (1, 2))
    x = draw(0, 1, 16, 8, 8)
    expected = one.analyse(x)
    expected[:, :8, :4, :4] = Wavelets((8, 4, 4), "haar", 1, dtype=F64).analyse(expected[:, :8, :4, :4])
    torch.testing.assert_close(two.analyse(x), expected, rtol=0, atol=1e-12)


def test_a_band_is_of_high_frequency_along_the_axes_of_its_number():
    bands = Wavelets((8, 8, 8), "haar", 1, dtype=F64).bands
    for axis, place in enumerate(((4, 0, 0), (0, 4, 0), (0, 0, 4))):
        assert bands[place] == 2**axis
    assert bands[4, 4, 4] == 7
    assert bands[0, 0, 0] == 0


@pytest.mark.parametrize("axes", [2, 3])
def test_what_is_split_has_the_bands_of_the_wavelets_and_joins_again(axes):
    W = Wavelets((16, 8, 24)[:axes], "haar", 2, dtype=F64)
    bands, n = W.bands[None, None], W.orientations
    approximation, details = split(bands, 2, axes)
    assert (approximation == 0).all()
    for j, detail in enumerate(details):
        assert all((detail[:, :, o] == 1 + n * j + o).all() for o in range(n))
    assert torch.equal(join(approximation, details, axes), bands)
    numbers = draw(0, 3, 1 + 2 * n)
    assert torch.equal(ExpandBands(W.bands)(numbers), numbers[:, W.bands])


def test_the_norm_of_a_group_is_over_all_seven_details():
    c = draw(0, 2, 2, 8, 8, 8)
    found = Groups(orientations=True).magnitude(c, 1)
    for b, channel, z, y, x in [(0, 0, 5, 1, 2), (1, 1, 5, 5, 2), (1, 0, 1, 1, 6)]:
        places = [
            (z % 4 + 4 * i, y % 4 + 4 * j, x % 4 + 4 * k) for i in (0, 1) for j in (0, 1) for k in (0, 1)
        ][1:]
        expected = sum(float(c[b, channel][place]) ** 2 for place in places) ** 0.5
        assert float(found[b, channel, z, y, x]) == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(found[..., :4, :4, :4], c[..., :4, :4, :4].abs())


@pytest.mark.parametrize(
    "prior",
    [huber(), orientations(0.01, 0.02), union(0.01, 0.02), orientations(0.01, 0.02, coupled=True)],
    ids=str,
)
def test_a_prox_is_firmly_nonexpansive_and_contracts(prior):
    bases = {"union": ("haar",)} if prior.union else {"wavelet": "haar"}
    small = replace(prior, levels=2, **bases)
    penalty = small.build((1, 8, 4, 4), F64)
    states = penalty.synthesis_adjoint(torch.zeros(1, 1, 8, 4, 4, dtype=F64)).shape
    step = torch.tensor(0.7, dtype=F64)
    for seed in range(20):
        z, other = draw(seed, *states), draw(100 + seed, *states)
        with torch.no_grad():
            moved = penalty.prox(z, step) - penalty.prox(other, step)
        inner = float((moved * (z - other)).sum())
        assert inner >= (1 + 0.7 * small.ridge) * float(moved.square().sum()) - 1e-12


def test_differences_of_volumes_are_those_of_a_loop_and_have_their_adjoint():
    x, p = draw(0, 2, 2, 3, 4, 5), draw(1, 2, 6, 3, 4, 5)
    found = gradient(x, 3)
    for axis in range(3):
        part = found[:, 2 * axis : 2 * axis + 2]
        expected = torch.zeros_like(x)
        n = x.shape[2 + axis]
        expected.narrow(2 + axis, 0, n - 1).copy_(x.narrow(2 + axis, 1, n - 1) - x.narrow(2 + axis, 0, n - 1))
        assert torch.equal(part, expected)
    assert float((found * p).sum()) == pytest.approx(float((x * gradient_adjoint(p, 3)).sum()), rel=1e-12)


@pytest.mark.parametrize("size", [(3, 4, 5), (6, 2, 2), (4, 4, 4)])
def test_the_norm_of_differences_is_exact_and_below_12(size):
    identity = torch.eye(size[0] * size[1] * size[2], dtype=F64).view(-1, 1, *size)
    K = gradient(identity, 3).flatten(1)
    largest = float(torch.linalg.eigvalsh(K @ K.T)[-1])
    assert gradient_norm_squared(size) == pytest.approx(largest, rel=1e-12)
    assert largest < 12


@pytest.mark.parametrize("isotropic", [True, False])
def test_total_variation_of_volumes_has_the_prox_of_its_conjugate(isotropic):
    """``prox_{σg*}`` of norms without smoothing is the projection on their balls."""
    penalty = tv(0.0, 0.0, isotropic).analysis((2, 3, 4, 5), F64, "cpu")
    assert penalty.log_weights.shape == (1 if isotropic else 3, 2, 1, 1, 1)
    v = draw(0, 2, 6, 3, 4, 5)
    found = penalty.dual_prox(v, torch.tensor(0.5, dtype=F64)).view(2, 3, 2, 3, 4, 5)
    field, radius = v.view(2, 3, 2, 3, 4, 5), 0.02
    size = field.norm(dim=1, keepdim=True) if isotropic else field.abs()
    torch.testing.assert_close(found, field * (radius / size).clamp(max=1), rtol=0, atol=1e-14)
    assert penalty.adjoint(penalty.analyse(draw(1, 1, 2, 3, 4, 5))).shape == (1, 2, 3, 4, 5)


def test_a_volume_that_wavelets_cannot_halve_gets_one_clear_line():
    with pytest.raises(UserError, match="images of 32×36×32 do not divide into 3 levels: make all sides"):
        huber().build((1, 32, 36, 32))
    with pytest.raises(UserError, match="images of 32×24×32 are too small for 3 levels of db4"):
        huber().build((1, 32, 24, 32))
    penalty = replace(huber(), **SMALL).build((1, 8, 8, 8), F64)
    with pytest.raises(UserError, match="do not fit wavelets of 8×8×8"):
        penalty.prox(draw(0, 1, 1, 8, 8, 16), torch.tensor(1.0, dtype=F64))
