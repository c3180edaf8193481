"""The largest singular value of a Jacobian, by Lanczos iteration on ``JᵀJ``."""

# torch.linalg and torch.autograd carry few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math

import torch
from torch import Tensor

from .._core.argument_checks import at_least
from .._core.batch import back, inners, norms, rows
from .._core.maps import Map


def largest_singular_value(T: Map, x: Tensor, steps: int = 20) -> tuple[float, float]:
    """``‖∂T/∂x‖`` at ``x`` from below, the largest over the samples of the batch; and the iteration's own residual.

    An eigenvalue of JᵀJ lies within ``residual`` (relative) of ``value²``; a larger one may still be hidden, if the
    start is nearly orthogonal to its vector. The error of ``value²`` falls as the square of the residual, and about as
    ``exp(−4 steps √gap)`` with the relative gap above the next eigenvalue, where power iteration has
    ``exp(−2 steps gap)``.

    T is taped once. A step is a product with J, the derivative of ``u ↦ Jᵀu``, and one with Jᵀ; three vectors of the
    size of x are kept besides. Nothing is orthogonalised again: copies of an eigenvalue do no harm to the largest.

    Args:
        T: the map; its operations must be differentiable twice in the sense of the chain rule, kinks are no obstacle.
        x: where, any shape; dimension 0 is the batch if there are two or more.
        steps: at most.

    Returns:
        Zero and zero where T does not depend on x, or x is empty; ``nan`` where a product is not finite.

    Raises:
        ValueError: ``steps`` is below 1.

    Source: Paige, Linear Algebra Appl. 34 (1980), for the iteration without orthogonalisation.
    """
    at_least("steps", steps, 1)
    if not x.numel():
        return 0.0, 0.0
    at = x.detach().requires_grad_()
    with torch.enable_grad():
        y = T(at)
        if not y.requires_grad:
            return 0.0, 0.0
        dummy = torch.zeros_like(y, requires_grad=True)
        (pulled,) = torch.autograd.grad(y, at, dummy, create_graph=True, materialize_grads=True)
    if not pulled.requires_grad:
        return 0.0, 0.0

    def product(q: Tensor) -> Tensor:
        (forward,) = torch.autograd.grad(pulled, dummy, back(q, x), retain_graph=True, materialize_grads=True)
        (pulled_back,) = torch.autograd.grad(y, at, forward, retain_graph=True, materialize_grads=True)
        return rows(pulled_back)

    with torch.no_grad():
        return _largest(*_tridiagonal(product, rows(at), steps))


def _tridiagonal(product: Map, like: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Diagonals ``(samples, steps)``, and what stands beside them, the last of which is left over."""
    start = torch.randn(like.shape, generator=torch.Generator().manual_seed(0), dtype=like.dtype)
    w, before = start.to(like.device), torch.zeros_like(like)
    beta = norms(w)[0].to(like)
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    floor = 10 * torch.finfo(like.dtype).eps
    for _ in range(steps):
        # A sample whose space is exhausted goes on with zeros, which add eigenvalues of 0.
        q = torch.where(beta[:, None] > 0, w / beta[:, None], 0)
        w = product(q)
        alpha = inners(q, w).to(like)
        w = w - alpha[:, None] * q - (beta[:, None] * before if diagonal else 0)
        size = norms(w)[0].to(like)
        diagonal.append(alpha)
        scale = torch.stack(diagonal).abs().amax(0)
        beta = torch.where(size > floor * scale, size, 0)
        beside.append(beta)
        before = q
        if not bool(beta.any()):
            break
    return torch.stack(diagonal, 1).double().cpu(), torch.stack(beside, 1).double().cpu()


def _largest(diagonal: Tensor, beside: Tensor) -> tuple[float, float]:
    if not bool(diagonal.isfinite().all() and beside.isfinite().all()):
        return math.nan, math.nan
    off = beside[:, :-1]
    matrix = torch.diag_embed(diagonal) + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    values, vectors = torch.linalg.eigh(matrix)
    top = int(values[:, -1].argmax())
    square = float(values[top, -1])
    if square <= 0:
        return 0.0, 0.0
    residual = float((beside[top, -1] * vectors[top, -1, -1]).abs())
    return math.sqrt(square), residual / square
