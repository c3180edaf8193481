"""Where plain iteration goes, and whether it stays there."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from solvers import Map

NEAR = 1e-2
"""Plain iteration that has come this much closer to an equilibrium than its start is on its way there."""
SETTLED = 1e-10
"""A relative step below this: plain iteration has arrived."""
ARNOLDI = 20
"""Products that a spectral radius may take."""
CONFIRM = 100
"""Products that must confirm one above 1."""


@torch.no_grad()
def destination(T: Map, x0: Tensor, towards: Tensor | None, budget: int) -> Tensor | None:
    """Where plain iteration from ``x0`` goes.

    Args:
        T: the map.
        x0: its start.
        towards: an equilibrium that is known; ``None`` for none.
        budget: applications at most.

    Returns:
        ``towards`` itself, where it comes near, or nearer with every application of the second half of the budget, as
        slow contractions do; another state where it has settled there; ``None`` where it does neither.
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
    """The largest modulus of an eigenvalue, from below, by Arnoldi's method from a random start.

    Ritz values of a matrix that is far from normal may lie outside its spectrum: one of at least 1 is confirmed by the
    growth of powers, which tends to the radius for every matrix.

    Args:
        product: with J, or with Jᵀ.
        like: a vector of its shape and dtype.
    """
    q = torch.randn(like.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(like)
    basis = [q / torch.linalg.vector_norm(q)]
    H = torch.zeros(ARNOLDI + 1, ARNOLDI, dtype=torch.float64)
    size = 0
    for k in range(min(ARNOLDI, like.numel())):
        w = product(basis[k])
        scale = _norm(w)
        for _ in range(2):  # twice is enough
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
    found = float(torch.linalg.eigvals(H[:size, :size]).abs().max())
    return found if found < 1 else min(found, _growth(product, q))


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
