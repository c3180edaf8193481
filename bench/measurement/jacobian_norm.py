"""The local Lipschitz constant of a map, measured by power iteration.

``solvers._certificates.jacobian_norm`` measures it by Lanczos iteration. Records and claims hold numbers of power
iteration, which differ from those of Lanczos in the digits that are not converged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Map, SupportsSelect


@dataclass(frozen=True, slots=True)
class JacobianNorm:
    """A lower bound on ``‖J(x)‖`` from power iteration on ``JᵀJ``, and the relative residual of that iteration.

    An eigenvalue of JᵀJ lies within ``residual`` (relative) of ``value²``; a larger one may be hidden.
    """

    value: float
    residual: float


def jacobian_norm(T: Map, x: Tensor, steps: int = 50, *, per_sample: bool = False) -> JacobianNorm:
    """Estimate ``‖∂T/∂x‖`` at x from below: the largest over the samples of the batch.

    T is applied once. A step is a product with Jᵀ and one with J, which is the derivative of ``u ↦ Jᵀu``: the
    operations of T must be differentiable twice in the sense of the chain rule, kinks are no obstacle.

    Args:
        x: the point, any shape; dimension 0 is the batch if there are two or more.
        per_sample: iterate on one sample after another, in the memory of one, if T supports ``select``.

    Returns:
        Zero and zero if J vanishes; NaN if a product is not finite.
    """
    w = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype).to(x.device)
    if not (per_sample and isinstance(T, SupportsSelect)):
        return _power_iteration(T, x, w, steps)
    indices = torch.arange(len(x), device=x.device).split(1)
    norms = [_power_iteration(T.select(i), x[i], w[i], steps) for i in indices]
    return max(norms, key=lambda norm: math.inf if math.isnan(norm.value) else norm.value)


def _power_iteration(T: Map, x: Tensor, w: Tensor, steps: int) -> JacobianNorm:
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        y = T(x)
    product = jacobian_product(y, x)
    if product is None:
        return JacobianNorm(0.0, 0.0)
    value = residual = torch.zeros(())
    for _ in range(steps):
        w = w / _norms(w).clamp(min=torch.finfo(x.dtype).tiny)
        Jw = product(w)
        (JtJw,) = torch.autograd.grad(y, x, Jw, retain_graph=True, materialize_grads=True)
        value = _norms(Jw)
        gap = _norms(JtJw - value**2 * w)
        residual = torch.where(value > 0, gap / value**2, value)
        w = JtJw
    if not bool(value.isfinite().all()):
        return JacobianNorm(math.nan, math.nan)
    worst = int(value.flatten().argmax())
    return JacobianNorm(float(value.flatten()[worst]), float(residual.flatten()[worst]))


def jacobian_product(y: Tensor, x: Tensor) -> Callable[[Tensor], Tensor] | None:
    """Return ``w -> Jw`` with ``J = ∂y/∂x``, computed as the derivative of ``u -> Jᵀu``; ``None`` if J vanishes.

    The tape of y is retained.

    Raises:
        RuntimeError: an operation on the tape cannot be differentiated twice.
    """
    if not y.requires_grad:
        return None
    u = torch.zeros_like(y, requires_grad=True)
    with torch.enable_grad():
        (Jtu,) = torch.autograd.grad(y, x, u, create_graph=True, materialize_grads=True)
    if not Jtu.requires_grad:
        return None
    return lambda w: torch.autograd.grad(Jtu, u, w, retain_graph=True, materialize_grads=True)[0]


def _norms(x: Tensor) -> Tensor:
    """The norm of each sample, shaped to divide ``x``; a one-dimensional ``x`` is one sample."""
    if x.ndim < 2:
        return torch.linalg.vector_norm(x)
    return torch.linalg.vector_norm(x.flatten(1), dim=1).view(-1, *(1,) * (x.ndim - 1))
