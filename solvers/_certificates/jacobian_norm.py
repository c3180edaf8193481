"""The largest singular value of a Jacobian, by Lanczos iteration on ``JᵀJ``."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math

import torch
from torch import Tensor

from .._core.argument_checks import at_least
from .._core.batch import from_rows, inners, norms, rows
from .._core.maps import Map


def largest_singular_value(T: Map, x: Tensor, steps: int = 20) -> tuple[float, float]:
    """Return a lower bound on ``‖∂T/∂x‖`` at ``x``, the largest over the batch, and the residual of the iteration.

    An eigenvalue of JᵀJ lies within a relative ``residual`` of ``value²``. A larger one may still be missed, if the
    start is nearly orthogonal to its eigenvector. The error of ``value²`` decreases as the square of the residual, and
    about as ``exp(−4 steps √gap)`` with the relative gap to the next eigenvalue; for power iteration it is
    ``exp(−2 steps gap)``.

    Cost: one taped application; per step one product with J, as the derivative of ``u ↦ Jᵀu``, and one with Jᵀ; three
    vectors of the size of x. Vectors are not orthogonalised again: spurious copies of an eigenvalue do not harm the
    largest.

    Args:
        T: the map; autograd must be able to differentiate its operations twice. Kinks are allowed.
        x: the point, of any shape; dimension 0 is the batch if there are two or more.
        steps: maximal number of steps.

    Returns:
        ``(value, residual)``; zeros if T does not depend on x or x is empty, nan if a product is not finite.

    Raises:
        ValueError: ``steps`` is below 1.

    Source: Paige, Linear Algebra Appl. 34 (1980), for the iteration without orthogonalisation.
    """
    at_least("steps", steps, 1)
    if not x.numel():
        return 0.0, 0.0
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        y = T(leaf)
        if not y.requires_grad:
            return 0.0, 0.0
        u = torch.zeros_like(y, requires_grad=True)
        (a,) = torch.autograd.grad(y, leaf, u, create_graph=True, materialize_grads=True)
    if not a.requires_grad:
        return 0.0, 0.0

    def JTJ(q: Tensor) -> Tensor:
        (Jq,) = torch.autograd.grad(a, u, from_rows(q, x), retain_graph=True, materialize_grads=True)
        (JTJq,) = torch.autograd.grad(y, leaf, Jq, retain_graph=True, materialize_grads=True)
        return rows(JTJq)

    with torch.no_grad():
        return _largest(*_tridiagonal(JTJ, rows(leaf), steps))


def _tridiagonal(product: Map, like: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Return the diagonal and off-diagonal of the Lanczos matrix, ``(samples, steps)``, the latter with a residual."""
    start = torch.randn(like.shape, generator=torch.Generator().manual_seed(0), dtype=like.dtype)
    w, before = start.to(like.device), torch.zeros_like(like)
    beta = norms(w)[0].to(like)
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    floor = 10 * torch.finfo(like.dtype).eps
    for _ in range(steps):
        # A sample whose Krylov space is exhausted continues with zeros, which add eigenvalues of 0.
        q = torch.where(beta[:, None] > 0, w / beta[:, None], 0)
        w = product(q)
        alpha = inners(q, w).to(like)
        w = w - alpha[:, None] * q - (beta[:, None] * before if alphas else 0)
        size = norms(w)[0].to(like)
        alphas.append(alpha)
        scale = torch.stack(alphas).abs().amax(0)
        beta = torch.where(size > floor * scale, size, 0)
        betas.append(beta)
        before = q
        if not bool(beta.any()):
            break
    return torch.stack(alphas, 1).double().cpu(), torch.stack(betas, 1).double().cpu()


def _largest(alphas: Tensor, betas: Tensor) -> tuple[float, float]:
    if not bool(alphas.isfinite().all() and betas.isfinite().all()):
        return math.nan, math.nan
    off = betas[:, :-1]
    matrix = torch.diag_embed(alphas) + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    values, vectors = torch.linalg.eigh(matrix)
    top = int(values[:, -1].argmax())
    square = float(values[top, -1])
    if square <= 0:
        return 0.0, 0.0
    residual = float((betas[top, -1] * vectors[top, -1, -1]).abs())
    return math.sqrt(square), residual / square
