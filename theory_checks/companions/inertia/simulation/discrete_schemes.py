"""The discrete algorithms: ISEHD (inertial steps with explicit Hessian damping), gradient descent, and Adam.

ISEHD discretises the inertial system with differences of gradients for the Hessian-driven damping (arXiv
2407.12518; the adaptive rule is reconstructed):

    v_{k+1} = (v_k − β (g_k − g_{k−1}) − h_k g_k) / (1 + α h_k),   θ_{k+1} = θ_k + h_k v_{k+1},   g_{−1} = g_0, v_0 = 0
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

SMALLEST_STEP = 1e-12
LARGER, SMALLER, SHARE = 1.5, 0.5, 0.5
"""Constants of the adaptive rule: factors of the step, and the share η of the dissipation that E must lose."""


class Point(Protocol):
    """A point θ with its loss; the gradient is computed on demand, since refused steps do not need it."""

    @property
    def loss(self) -> float:
        """The loss f."""
        ...

    def gradient(self) -> Tensor:
        """The gradient ∇f, shape ``(p,)``."""
        ...


Objective = Callable[[Tensor], Point]
"""Maps θ of shape ``(p,)`` to its point."""


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration of a method, or its start.

    Attributes:
        loss: f at the new θ.
        kinetic: ``½|v|²`` at the new v.
        energy: ``E = (1 + αβ) f + ½|v + β g|²`` with the new v and f, and g of the θ before; nan for GD and Adam.
        h: accepted step.
        evaluations: number of evaluations of f so far, refused steps included.
    """

    loss: float
    kinetic: float
    energy: float
    h: float
    evaluations: int


Callback = Callable[[int, Tensor, Iteration], bool]
"""Called with the number, θ and ``Iteration`` of each iteration; the run ends if it returns True."""


@dataclass(frozen=True, slots=True)
class Inertia:
    """Damping of ISEHD: viscous α in 1/time, Hessian-driven β in units of time."""

    alpha: float
    beta: float = 0.0


def next_velocity(v: Tensor, g: Tensor, g_before: Tensor, h: float, d: Inertia) -> Tensor:
    """The next velocity of ISEHD."""
    return (v - d.beta * (g - g_before) - h * g) / (1 + d.alpha * h)


def discrete_energy(f: float, v: Tensor, g: Tensor, d: Inertia) -> float:
    """``(1 + αβ) f + ½|v + β g|²``."""
    return (1 + d.alpha * d.beta) * f + float((v + d.beta * g).square().sum()) / 2


def decreases_enough(after: float, before: float, v: Tensor, h: float, d: Inertia) -> bool:
    """``E_{k+1} ≤ E_k − η α h |v_{k+1}|²``."""
    return after <= before - SHARE * d.alpha * h * float(v.square().sum())


def isehd(
    f: Objective, theta: Tensor, d: Inertia, h: float, steps: int, callback: Callback, *, adaptive: bool
) -> list[Iteration]:
    """Inertial steps from rest.

    Args:
        f: loss to be minimised.
        theta: start, shape ``(p,)``.
        d: damping.
        h: constant step, or initial step if adaptive: multiplied by 1.5 in each iteration, then halved until E
            decreases enough.
        steps: largest number of iterations.
        callback: called after each iteration.
        adaptive: whether h adapts.

    Returns:
        The start, then each iteration.

    Raises:
        ArithmeticError: if no step above 1e-12 decreases E.
    """
    point = f(theta)
    v, g = torch.zeros_like(theta), point.gradient()
    g_before, evaluations, log = g, 1, []
    E = discrete_energy(point.loss, v, g_before, d)
    log.append(Iteration(point.loss, 0.0, E, h, evaluations))
    for k in range(steps):
        h = LARGER * h if adaptive else h
        while True:
            w = next_velocity(v, g, g_before, h, d)
            theta_next = theta + h * w
            point, evaluations = f(theta_next), evaluations + 1
            after = discrete_energy(point.loss, w, g, d)
            if not adaptive or decreases_enough(after, E, w, h, d):
                break
            h *= SMALLER
            if h < SMALLEST_STEP:
                raise ArithmeticError(f"no step decreases the energy in iteration {k}")
        theta, v, E, g_before, g = theta_next, w, after, g, point.gradient()
        log.append(Iteration(point.loss, float(v.square().sum()) / 2, E, h, evaluations))
        if callback(k + 1, theta, log[-1]):
            break
    return log


def gradient_descent(
    f: Objective, theta: Tensor, h: float, steps: int, callback: Callback, *, adaptive: bool
) -> list[Iteration]:
    """Gradient descent; an adaptive step follows the same rule, with ``f_{k+1} ≤ f_k − ½ h |g|²``.

    Returns:
        The start, then each iteration.

    Raises:
        ArithmeticError: if no step above 1e-12 decreases f.
    """
    point, evaluations = f(theta), 1
    log = [Iteration(point.loss, 0.0, math.nan, h, evaluations)]
    for k in range(steps):
        g = point.gradient()
        h = LARGER * h if adaptive else h
        while True:
            candidate, evaluations = f(theta - h * g), evaluations + 1
            if not adaptive or candidate.loss <= point.loss - SHARE * h * float(g.square().sum()):
                break
            h *= SMALLER
            if h < SMALLEST_STEP:
                raise ArithmeticError(f"no step decreases the loss in iteration {k}")
        theta, point = theta - h * g, candidate
        log.append(Iteration(point.loss, 0.0, math.nan, h, evaluations))
        if callback(k + 1, theta, log[-1]):
            break
    return log


def adam(f: Objective, theta: Tensor, rate: float, steps: int, callback: Callback) -> list[Iteration]:
    """Adam as implemented in torch, for comparison; returns the same as ``isehd``."""
    parameter = torch.nn.Parameter(theta.clone())
    optimiser = torch.optim.Adam([parameter], lr=rate)
    point = f(parameter.detach())
    log = [Iteration(point.loss, 0.0, math.nan, rate, 1)]
    for k in range(steps):
        parameter.grad = point.gradient()
        optimiser.step()
        point = f(parameter.detach())
        log.append(Iteration(point.loss, 0.0, math.nan, rate, k + 2))
        if callback(k + 1, parameter.detach(), log[-1]):
            break
    return log


def violations(energies: list[float], rounding: float = 1e-12) -> int:
    """The number of energies above the one before by more than ``rounding`` times the first."""
    return sum(b > a + rounding * abs(energies[0]) for a, b in pairwise(energies))


def safe_step(L: float, d: Inertia) -> float:
    """``2(α/L − β)``: below it ``f_k + ½(1 + βLh)|v_k|²`` does not increase, for an L-Lipschitz gradient."""
    return 2 * (d.alpha / L - d.beta)
