"""Nonmonotone accelerated gradient descent with line search (nmAPG), on an energy of each sample of a batch."""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

DECREASE, SHRINK, MEMORY = 0.1, 0.9, 0.8
"""δ, ρ and η of the algorithm: required decrease, factor between trial steps, and weight of earlier energies."""
SLACK = 1e-4
"""Relative excess over the bound that a trial from x may have."""
FIRST, LEAST = 10.0, 1.0
"""L of the first step, and the smallest one after that."""
TRIALS = 150
"""Trial steps of a line search."""
FLAT = 1e-12
"""Smallest denominator of a secant."""


class Energy(Protocol):
    """``E`` of each sample of a batch; ``index`` has the numbers of the samples in ``x``."""

    def value(self, x: Tensor, index: Tensor) -> Tensor:
        """``E`` of each sample: ``(n,)``."""
        ...

    def gradient(self, x: Tensor, index: Tensor) -> Tensor:
        """``∇E``, of the shape of ``x`` ``(n, …)``."""
        ...

    def value_and_gradient(self, x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Both at once."""
        ...


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where a descent ended.

    Attributes:
        x: the points ``(B, …)``.
        curvature: L of the last step of each sample ``(B,)``.
        steps: number of steps of the sample that took most.
        change: ``‖x_k − x_{k−1}‖ / ‖x_k‖`` of the last step, the largest over the batch.
    """

    x: Tensor
    curvature: Tensor
    steps: int
    change: float


@torch.no_grad()
def minimise(energy: Energy, x0: Tensor, tol: float, budget: int) -> Minimum:
    """Minimise the energy of each sample from ``x0`` ``(B, …)``.

    Algorithm 4 in the supplement of Li & Lin, *Accelerated proximal gradient methods for nonconvex programming*
    (NeurIPS 2015), without a prox, with the settings and the stopping rule of the comparative study arXiv 2510.01755:
    a sample ends when ``‖x_k − x_{k−1}‖ < tol ‖x_k‖``. Steps 1/L are secants (Barzilai & Borwein), shortened until
    the energy has fallen below a mean of earlier energies. All samples share their momentum.

    Args:
        energy: E.
        x0: the start.
        tol: relative change of x.
        budget: largest number of steps.
    """
    x, z, before = x0.clone(), x0.clone(), x0.clone()
    active = torch.arange(len(x0), device=x0.device)
    L = x0.new_full((len(x0),), FIRST)
    change = x0.new_full((len(x0),), math.inf)
    level, weight = energy.value(x, active), 1.0
    t, t_before = 1.0, 0.0
    y_before, gradient_before = torch.zeros_like(x), torch.zeros_like(x)
    steps = 0
    for steps in range(1, budget + 1):
        here = x[active]
        y = here + t_before / t * (z[active] - here) + (t_before - 1) / t * (here - before[active])
        before[active] = here
        value, gradient = energy.value_and_gradient(y, active)
        if steps > 1:
            L[active] = _secant(gradient - gradient_before[active], y - y_before[active])
        bound = torch.maximum(value, level[active])
        far, far_value, L[active] = _search(energy, y, gradient, L[active], bound, active, 0.0)
        z[active] = far
        new, new_value = far.clone(), far_value.clone()
        poor = far_value >= level[active] - DECREASE * _square(far - y)
        if bool(poor.any()):
            index = active[poor]
            slope = energy.gradient(x[index], index)
            if steps > 1:
                L[index] = _secant(slope - gradient_before[index], x[index] - y_before[index])
            near, near_value, L[index] = _search(
                energy, x[index], slope, L[index], level[index], index, SLACK
            )
            better = near_value <= far_value[poor]
            new[poor] = torch.where(_column(better, near), near, new[poor])
            new_value[poor] = torch.where(better, near_value, new_value[poor])
        x[active] = new
        t_before, t = t, (math.sqrt(4 * t * t + 1) + 1) / 2
        weight_before, weight = weight, MEMORY * weight + 1
        level[active] = (MEMORY * weight_before * level[active] + new_value) / weight
        y_before[active], gradient_before[active] = y, gradient
        if steps > 1:
            change[active] = (_square(new - before[active]) / _square(new)).sqrt()
        active = active[~(change[active] < tol)]
        if not len(active):
            break
    return Minimum(x, L, steps, float(change.max()))


def _search(
    energy: Energy, start: Tensor, gradient: Tensor, L: Tensor, bound: Tensor, index: Tensor, slack: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Shorten steps ``1/L`` from ``start`` until the energy is below the bound. Returns points, energies and L."""
    point, value, L = start.clone(), bound.clone(), L.clone()
    left = torch.arange(len(index), device=start.device)
    for _ in range(TRIALS):
        point[left] = start[left] - gradient[left] / _column(L[left], start)
        value[left] = energy.value(point[left], index[left])
        allowed = bound[left] - DECREASE * _square(point[left] - start[left])
        # Not >, so that a nan is no success.
        left = left[~(value[left] <= allowed + slack * allowed.abs())]
        if not len(left):
            break
        L[left] /= SHRINK
    return point, value, L


def _secant(slopes: Tensor, steps: Tensor) -> Tensor:
    """``‖r‖² / |⟨r, s⟩|`` of each sample, at least ``LEAST``."""
    inner = (slopes * steps).flatten(1).sum(1).abs().clamp(min=FLAT)
    return (_square(slopes) / inner).clamp(min=LEAST)


def _square(x: Tensor) -> Tensor:
    return x.flatten(1).square().sum(1)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *(1,) * (like.ndim - 1))
