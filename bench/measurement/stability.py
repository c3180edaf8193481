"""Where plain iteration goes, and whether it stays there."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from solvers import Map

NEAR = 1e-2
"""Plain iteration approaches an equilibrium if its distance shrinks below this fraction of the start's."""
SETTLED = 1e-10
"""Plain iteration has arrived if its relative step is at most this."""
ARNOLDI = 20
"""Products with J at most for a spectral radius."""
CONFIRM = 100
"""Products with J that confirm a spectral radius above 1."""


@torch.no_grad()
def destination(T: Map, x0: Tensor, towards: Tensor | None, budget: int) -> Tensor | None:
    """Find where plain iteration from ``x0`` goes, in ``budget`` applications at most.

    Returns:
        ``towards`` itself, a known equilibrium, if the iteration comes near it, or (as slow contractions do) approaches
        it with every application of the second half of the budget; the last state, if it settled elsewhere; else
        ``None``.
    """
    x, last_rise = x0, 0
    far = math.inf if towards is None else _norm(x0 - towards)
    if far == 0:
        return towards
    distance = far
    for k in range(budget):
        y = T(x)
        step, x = _norm(y - x), y
        if towards is not None:
            before, distance = distance, _norm(x - towards)
            if distance <= NEAR * far:
                return towards
            last_rise = k if not distance <= before else last_rise
        if step <= SETTLED * _norm(x):
            return x
        if not math.isfinite(step):
            return None
    return towards if distance < far and last_rise < budget // 2 else None


@torch.no_grad()
def spectral_radius(product: Callable[[Tensor], Tensor], like: Tensor) -> float:
    """The largest modulus of an eigenvalue of J, from below, by Arnoldi iteration from a random start.

    Ritz values of a matrix far from normal may lie outside its spectrum. A value of at least 1 is therefore compared
    with the growth of powers of J, which tends to the spectral radius of every matrix. ``product`` may be that with J
    or with Jᵀ; ``like`` has the shape, dtype and device of its argument.
    """
    q = torch.randn(like.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(like)
    basis = [q / torch.linalg.vector_norm(q)]
    H = torch.zeros(ARNOLDI + 1, ARNOLDI, dtype=torch.float64)
    size = 0
    for k in range(min(ARNOLDI, like.numel())):
        w = product(basis[k])
        scale = _norm(w)
        for _ in range(2):  # Gram–Schmidt once loses orthogonality to rounding, twice does not
            for i, b in enumerate(basis):
                h = float((b * w).sum())
                H[i, k] += h
                w = w - h * b
        size, H[k + 1, k] = k + 1, _norm(w)
        if not _norm(w) > 1e-12 * scale:
            break
        basis.append(w / _norm(w))
    if not H.isfinite().all():
        return math.nan
    radius = float(torch.linalg.eigvals(H[:size, :size]).abs().max())
    return radius if radius < 1 else min(radius, _growth(product, q))


def _growth(product: Callable[[Tensor], Tensor], w: Tensor) -> float:
    """The geometric mean of the growth over the second half of ``CONFIRM`` products."""
    total = 0.0
    for k in range(CONFIRM):
        w = w / torch.linalg.vector_norm(w)
        w = product(w)
        size = _norm(w)
        if size == 0:
            return 0.0
        total += math.log(size) if k >= CONFIRM // 2 else 0.0
    return math.exp(total / (CONFIRM - CONFIRM // 2))


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x))
