"""The tiles of the wavelet transform against its dense matrices, its derivatives, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from bench.measurement.memory import saved_bytes
from bench.penalties import Wavelets
from bench.penalties.wavelet_matrix import DENSE, WaveletMatrix, analysis
from bench.utils.errors import UserError
from tests.helpers.tensors import F64, draw

SIZES = [
    ("haar", 2, (68, 132)),  # halves of 34 and 66: no whole number of tiles
    ("haar", 1, (130, 66)),
    ("db2", 3, (72, 136)),
    ("db4", 3, (128, 72)),
    ("db4", 2, (140, 140)),
    ("db4", 1, (16, 74)),  # one side dense, the other in tiles
]
sizes = pytest.mark.parametrize(("wavelet", "levels", "size"), SIZES)


def dense(wavelet, levels, x):
    """``W x`` by whole matrices, from the finest scale on."""
    x = x.clone()
    h, w = x.shape[-2:]
    for _ in range(levels):
        rows, columns = (analysis(wavelet, n).to_dense() for n in (h, w))
        x[..., :h, :w] = rows @ x[..., :h, :w] @ columns.mT
        h, w = h // 2, w // 2
    return x


@sizes
@pytest.mark.parametrize("lead", [(), (1, 1), (2, 3)])
def test_tiles_are_the_dense_matrices(wavelet, levels, size, lead):
    W = Wavelets(size, wavelet, levels, dtype=F64)
    x = draw(0, *lead, *size)
    expected = dense(wavelet, levels, x)
    torch.testing.assert_close(W.analyse(x), expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(W.synthesise(expected), x, rtol=0, atol=1e-13)
    turned = x.mT.contiguous().mT  # not contiguous
    torch.testing.assert_close(W.analyse(turned), expected, rtol=0, atol=1e-13)


@sizes
def test_the_synthesis_is_the_adjoint(wavelet, levels, size):
    W = Wavelets(size, wavelet, levels, dtype=F64)
    x, c = draw(0, 2, *size), draw(1, 2, *size)
    torch.testing.assert_close((W.analyse(x) * c).sum(), (x * W.synthesise(c)).sum(), rtol=0, atol=1e-10)
    torch.testing.assert_close(W.analyse(x).norm(), x.norm(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("wavelet", ["haar", "db2", "db4"])
@pytest.mark.parametrize("length", [8, DENSE + 2, 128, 150])
def test_the_matrix_is_orthonormal_and_as_narrow_as_its_filter(wavelet, length):
    M = analysis(wavelet, length).to_dense()
    torch.testing.assert_close(M @ M.mT, torch.eye(length, dtype=F64), rtol=0, atol=1e-13)
    assert (M != 0).sum(1).max() <= {"haar": 2, "db2": 4, "db4": 8}[wavelet]


@pytest.mark.parametrize("wavelet", ["haar", "db2", "db4", "sym5", "coif2"])
def test_constants_have_no_details(wavelet):
    """Nor at the ends, where filters that are orthonormalised there put half of the energy."""
    W = Wavelets((64, 64), wavelet, 2, dtype=F64)
    details = W.analyse(torch.ones(64, 64, dtype=F64))[W.bands > 0]
    assert details.abs().max() < 1e-11


def test_the_matrices_follow_the_module():
    W = Wavelets((72, 72), "db2", 2, dtype=F64)
    x = draw(0, 72, 72)
    expected = W.analyse(x).float()
    narrow = W.to(torch.float32)
    assert narrow.analyse(x.float()).dtype == torch.float32
    torch.testing.assert_close(narrow.analyse(x.float()), expected, rtol=0, atol=1e-5)
    assert {b.device.type for b in W.to("meta").buffers()} == {"meta"}


def small():
    return Wavelets((8, 66), "haar", 1, dtype=F64)  # dense along one side, tiles along the other


@pytest.mark.parametrize("name", ["analyse", "synthesise"])
def test_every_derivative_is_the_transform_itself(name):
    W = small()
    f = getattr(W, name)
    x = draw(0, 1, 8, 66)
    J = f(torch.eye(8 * 66, dtype=F64).view(-1, 8, 66)).flatten(1).mT
    for vectorize in (True, False) if name == "analyse" else (True,):
        found = torch.autograd.functional.jacobian(f, x, vectorize=vectorize).view(8 * 66, 8 * 66)
        torch.testing.assert_close(found, J, rtol=0, atol=1e-14)
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        torch.testing.assert_close(jacobian(f)(x).view(8 * 66, 8 * 66), J, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_a_dimension_that_is_mapped_over_may_be_any(dim):
    W, x = small(), draw(0, 3, 2, 8, 66)
    for f in (W.analyse, W.synthesise):
        found = torch.func.vmap(f, in_dims=dim, out_dims=dim)(x.movedim(0, dim))
        torch.testing.assert_close(found.movedim(dim, 0), f(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["analyse", "synthesise"])
def test_derivatives_have_derivatives(name):
    f = getattr(small(), name)
    x = draw(0, 2, 8, 66).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: f(x).sin() * f(x), x, fast_mode=True)
    with torch.no_grad():
        plain = f(x)
    torch.testing.assert_close(f(x), plain, rtol=0, atol=0)


def test_nothing_is_kept_for_the_way_back():
    W, x = Wavelets((72, 72), "db2", 2), torch.randn(1, 72, 72, requires_grad=True)
    with saved_bytes([]) as saved:
        out = W.synthesise(W.analyse(x))
    assert saved.count == 0
    assert out.requires_grad


class Elements(TorchDispatchMode):
    """Counts the elements of everything that operations return, views included."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.count += out.numel() if isinstance(out, torch.Tensor) else 0
        return out


def cost(W, side):
    flops, elements = FlopCounterMode(display=False), Elements()
    with torch.no_grad(), flops, elements:
        W.synthesise(W.analyse(torch.zeros(1, 1, side, side)))
    return flops.get_total_flops(), elements.count, sum(b.numel() for b in W.axes.buffers())


def test_time_and_memory_are_linear_in_pixels():
    few, many = (cost(Wavelets((side, side)), side) for side in (512, 1024))
    assert few[0] < 512**2 * 160  # dense: 512**2 * 2700
    assert many[0] <= 4.05 * few[0]
    assert many[1] <= 4.05 * few[1]
    assert many[2] <= 2.2 * few[2]  # in the side: the matrices are those of a line


def test_a_side_up_to_the_bound_is_one_matrix():
    assert {name for name, _ in WaveletMatrix("haar", DENSE, F64).named_buffers()} == {"matrix"}
    assert "blocks" in dict(WaveletMatrix("haar", DENSE + 2, F64).named_buffers())


@pytest.mark.misuse(
    "a wavelet whose filters are not orthonormal to working precision (dmey)",
    "refused: the wavelet 'dmey' is not orthonormal here (off by …), so that its prox would not be one",
)
def test_a_wavelet_that_is_not_orthonormal_is_refused():
    with pytest.raises(UserError, match="is not orthonormal here"):
        Wavelets((64, 64), "dmey", 1)


@pytest.mark.parametrize("wavelet", ["db38", "sym20", "coif17"])
def test_the_longest_wavelets_are_orthonormal(wavelet):
    assert Wavelets((104, 104), wavelet, 1, dtype=F64).defect < 1e-9


@pytest.mark.misuse(
    "a biorthogonal wavelet", "refused: the wavelet 'bior2.2' is not orthogonal: give one that is"
)
def test_a_biorthogonal_wavelet_is_refused():
    with pytest.raises(UserError, match="is not orthogonal"):
        Wavelets((64, 64), "bior2.2", 1)


@pytest.mark.parametrize(
    ("wavelet", "size"), [("haar", 64), ("db4", 68), ("db16", 64), ("sym3", 32), ("coif4", 48)]
)
def test_the_defect_is_measured_and_never_too_small(wavelet, size):
    W = Wavelets((size, size), wavelet, 2 if wavelet in ("haar", "db4") else 1, dtype=F64)
    dense = (
        torch.func.vmap(W.analyse)(torch.eye(size * size, dtype=F64).view(-1, size, size)).flatten(1)
        if (size <= 32)
        else analysis(wavelet, size).to_dense()
    )
    gap = torch.linalg.matrix_norm(dense @ dense.mT - torch.eye(len(dense), dtype=F64), 2)
    assert float(gap) <= W.defect * (1 + 1e-6) + 1e-14 <= 1e-9


@pytest.mark.misuse(
    "images of another size than the wavelets",
    "refused: images or coefficients of (…) do not fit wavelets of …",
)
def test_images_of_another_size_are_refused():
    with pytest.raises(UserError, match="do not fit wavelets of 8×66"):
        small().analyse(draw(0, 2, 66, 8))


@pytest.mark.misuse(
    "matrices of the wavelets that require a gradient", "refused: … are not learned: learn log_weights"
)
def test_learned_matrices_are_refused():
    W = Wavelets((16, 16), "haar", 1, dtype=F64)
    next(W.axes.buffers()).requires_grad_()
    with pytest.raises(UserError, match="learn log_weights"):
        W.analyse(draw(0, 16, 16))


def test_complex_images_are_refused():
    with pytest.raises(UserError, match="real and imaginary parts"):
        small().analyse(draw(0, 8, 66).to(torch.complex128))


def test_a_module_that_is_cast_is_made_anew_and_not_from_rounded_matrices():
    narrow = Wavelets((72, 16), "db2", 1)
    assert narrow.intact()
    wide = narrow.double()
    assert wide.intact()
    x = draw(0, 72, 16)
    torch.testing.assert_close(wide.synthesise(wide.analyse(x)), x, rtol=0, atol=1e-14)
    next(wide.axes.buffers()).add_(1)
    assert not wide.intact()
