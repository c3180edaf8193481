"""Norms of a chain of convolutions and of its derivative in the kernels, against dense matrices; float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.regularisers import crr
from bench.regularisers.convolutions import convolve
from bench.regularisers.filter_chain import FilterChain
from tests.helpers.tensors import F64, draw

SIZES = [(7, 9), (12, 12), (13, 17), (20, 16)]
both = pytest.mark.parametrize("circular", [False, True])


def chain(circular: bool) -> FilterChain:
    return crr(circular).regulariser(F64, "cpu").chain()


def small_chain(circular: bool) -> FilterChain:
    """1 → 2 → 3 → 4 channels."""
    first, *others = (draw(i, i + 2, i + 1, 5, 5) / 5 for i in range(3))
    return FilterChain.of([0.4 * (first - first.mean((1, 2, 3), keepdim=True)), *others], circular, 0.4)


def dense(W: FilterChain, height: int, width: int):
    """W as a matrix."""
    columns = torch.eye(height * width, dtype=F64).view(-1, 1, height, width)
    return convolve(columns, W.kernels, W.circular).flatten(1).T


def kernel_derivative(W: FilterChain, x):
    """The derivative of ``W x`` in the kernels, the first times its factor and without its mean, as a matrix."""
    first, *others = W.kernels

    def values(raw, *rest):
        kernel = first + W.first_factor * (raw - raw.mean((1, 2, 3), keepdim=True))
        return convolve(x, [kernel, *rest], W.circular).flatten()

    given = (torch.zeros_like(first), *others)
    parts = torch.func.jacrev(values, argnums=(0, 1, 2))(*given)
    return torch.cat([part.flatten(1) for part in parts], 1)


@both
@pytest.mark.parametrize("size", SIZES)
def test_row_norms_are_those_of_the_matrix(circular, size):
    W = chain(circular)
    found = W.row_norms(*size)
    assert found.shape == (64, *size)
    torch.testing.assert_close(found.flatten(), dense(W, *size).norm(dim=1), rtol=1e-11, atol=0)


@both
def test_the_norm_bounds_the_largest_singular_value(circular):
    W = chain(circular)
    largest = float(torch.linalg.matrix_norm(dense(W, 13, 17), ord=2))
    assert 0.3 * W.norm <= largest <= W.norm


@both
def test_derivatives_in_the_kernels_are_bounded_and_not_by_much(circular):
    W = small_chain(circular)
    x = draw(1, 1, 1, 8, 9)
    moved = kernel_derivative(W, x)
    largest = float(torch.linalg.matrix_norm(moved, ord=2))
    at_x = W.derivative_at(W.forward(x))
    assert largest <= at_x <= 8 * largest
    assert at_x <= W.derivative_norm() * float(x.norm())


@both
def test_the_derivative_in_a_single_kernel_is_attained(circular):
    W = small_chain(circular)
    x = draw(2, 2, 1, 7, 6)
    single = FilterChain(W.kernels[:1], circular, 1.0, W.norms[:1])
    moved = torch.func.jacrev(lambda k: convolve(x, [k], circular).flatten())(W.kernels[0]).flatten(1)
    centred = moved.view(len(moved), -1, 25)
    centred = (centred - centred.mean(2, keepdim=True)).flatten(1)
    exact = float(torch.linalg.matrix_norm(centred, ord=2))
    assert single.derivative_at(single.forward(x)) == pytest.approx(exact, rel=1e-10)


@both
def test_the_adjoint_derivative_is_bounded(circular):
    """Over kernels and images of norm 1: the form is bilinear in both."""
    W = small_chain(circular)
    g = draw(3, 1, 4, 7, 8)
    columns = torch.eye(56, dtype=F64).view(56, 1, 1, 7, 8)
    form = torch.stack([kernel_derivative(W, e).T @ g.flatten() for e in columns])
    largest = float(torch.linalg.matrix_norm(form, ord=2))
    assert largest <= W.adjoint_derivative_at(W.backward(g)) <= 12 * largest


@both
@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_rounding_is_bounded(circular, shift):
    """Against 80 bits, by the matrix of each convolution: that of each entry of W x, and the norm of that of Wᵀg."""
    W = chain(circular)
    x = shift + draw(5, 1, 1, 12, 11)
    values, exact = W.forward(x), x.flatten().numpy().astype(np.longdouble)
    matrices = []
    for kernel in W.kernels:
        columns = torch.eye(kernel.shape[1] * 132, dtype=F64).view(-1, kernel.shape[1], 12, 11)
        matrices.append(convolve(columns, [kernel], circular).flatten(1).T.numpy().astype(np.longdouble))
    for matrix in matrices:
        exact = matrix @ exact
    gaps = np.abs((values[-1].flatten().numpy() - exact).astype(float))
    entries = W.entry_rounding(values, torch.zeros_like(x))
    assert bool((gaps <= entries.flatten().numpy()).all())
    assert float(entries.max()) < 0.5 * W.rounding(values)
    assert 0 < np.linalg.norm(gaps) <= W.rounding(values) < 1e-9 * (1 + shift)
    back, exact = W.backward(values[-1]), values[-1].flatten().numpy().astype(np.longdouble)
    for matrix in reversed(matrices):
        exact = matrix.T @ exact
    gap = np.linalg.norm((back[0].flatten().numpy() - exact).astype(float))
    assert 0 < gap <= W.adjoint_rounding(back) < 1e-9 * (1 + shift)


@both
def test_what_the_image_has_rounded_off_is_passed_on(circular):
    W = chain(circular)
    x, moved = draw(6, 1, 1, 9, 8), 1e-6 * draw(7, 1, 1, 9, 8).sign()
    values = W.forward(x)
    gaps = (W.forward(x + moved)[-1] - values[-1]).abs()
    assert bool((gaps <= W.entry_rounding(values, moved.abs())).all())
