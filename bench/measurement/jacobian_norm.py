"""The local Lipschitz constant of a map, measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Map, SupportsSelect

MARGIN = 1e-4
"""A norm within this of 1 is called nonexpansive; it is also where the printed digits end."""


@dataclass(frozen=True, slots=True)
class JacobianNorm:
    """A lower bound on ``‖J(x)‖`` from power iteration on ``JᵀJ``, and that iteration's own relative residual.

    An eigenvalue of JᵀJ lies within ``residual`` (relative) of ``value²``; a larger one may still be hidden.
    """

    value: float
    residual: float


def jacobian_norm(T: Map, x: Tensor, steps: int = 50, *, apart: bool = False) -> JacobianNorm:
    """``‖∂T/∂x‖`` at ``x`` from below: the largest over the samples of the batch.

    T is applied once. A step is a product with Jᵀ and one with J, the latter as the derivative of ``u ↦ Jᵀu``, so T
    needs derivatives of second order only in the sense of the chain rule; kinks are no obstacle.

    Args:
        T: the map.
        x: where, any shape; dimension 0 is the batch if there are two or more.
        steps: of power iteration.
        apart: one sample after another, in the memory of one, where T can be divided.

    Returns:
        Zero and zero where J vanishes; ``nan`` where it is not finite.
    """
    w = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype).to(x.device)
    if apart and isinstance(T, SupportsSelect):
        places = torch.arange(len(x), device=x.device).split(1)
        return max((_from(T.select(i), x[i], w[i], steps) for i in places), key=_order)
    return _from(T, x, w, steps)


def _order(found: JacobianNorm) -> float:
    return math.inf if math.isnan(found.value) else found.value


def _from(T: Map, x: Tensor, w: Tensor, steps: int) -> JacobianNorm:
    """The same, from the directions w."""
    at = x.detach().requires_grad_()
    with torch.enable_grad():
        y = T(at)
    pushed = pushes(y, at)
    if pushed is None:
        return JacobianNorm(0.0, 0.0)
    value = residual = torch.zeros(())
    for _ in range(steps):
        w = w / _norms(w).clamp(min=torch.finfo(x.dtype).tiny)
        forward = pushed(w)
        (back,) = torch.autograd.grad(y, at, forward, retain_graph=True, materialize_grads=True)
        value = _norms(forward)
        gap = _norms(back - value**2 * w)
        residual = torch.where(value > 0, gap / value**2, value)
        w = back
    if not bool(value.isfinite().all()):
        return JacobianNorm(math.nan, math.nan)
    worst = int(value.flatten().argmax())
    return JacobianNorm(float(value.flatten()[worst]), float(residual.flatten()[worst]))


def pushes(y: Tensor, x: Tensor) -> Callable[[Tensor], Tensor] | None:
    """Products with ``J = ∂y/∂x``, as derivatives of those with Jᵀ; ``None`` where J vanishes. The tape of y stays.

    Raises:
        RuntimeError: a derivative on the tape has none itself.
    """
    if not y.requires_grad:
        return None
    dummy = torch.zeros_like(y, requires_grad=True)
    with torch.enable_grad():
        (pulled,) = torch.autograd.grad(y, x, dummy, create_graph=True, materialize_grads=True)
    if not pulled.requires_grad:
        return None
    return lambda w: torch.autograd.grad(pulled, dummy, w, retain_graph=True, materialize_grads=True)[0]


def _norms(x: Tensor) -> Tensor:
    """The norm of each sample, shaped to divide ``x``; a one-dimensional ``x`` is one sample."""
    if x.ndim < 2:
        return torch.linalg.vector_norm(x)
    return torch.linalg.vector_norm(x.flatten(1), dim=1).view(-1, *(1,) * (x.ndim - 1))


def verdict(norm: float) -> str:
    """``contractive (L = 0.9803)``, ``nonexpansive`` or ``not contractive here (L = 1.31)``."""
    if math.isnan(norm):
        return "—"
    if norm < 1 - MARGIN:
        return f"contractive (L = {norm:.4f})"
    if norm <= 1 + MARGIN:
        return "nonexpansive"
    return f"not contractive here (L = {norm:.2f})"
