"""The discrete algorithms: ISEHD with a constant or an adaptive step, gradient descent, Adam.

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
"""Of the adaptive rule: what a step is multiplied by, and the share η of the dissipation that is demanded."""


class Point(Protocol):
    """A place whose loss is known, and whose gradient is computed when it is asked for."""

    @property
    def loss(self) -> float:
        """f."""
        ...

    def gradient(self) -> Tensor:
        """∇f, shape ``(p,)``."""
        ...


Objective = Callable[[Tensor], Point]
"""θ of shape ``(p,)`` to its point."""


@dataclass(frozen=True, slots=True)
class Iteration:
    """What an iteration leaves behind, and the start before them all.

    Attributes:
        loss: f at the new θ.
        kinetic: ``½|v|²`` at the new v.
        energy: ``E = (1 + αβ) f + ½|v + β g|²`` with the new v and f, and g of the θ before; nan for GD and Adam.
        h: the step that was taken.
        evaluations: of f so far, refused steps included.
    """

    loss: float
    kinetic: float
    energy: float
    h: float
    evaluations: int


Callback = Callable[[int, Tensor, Iteration], bool]
"""Told of each iteration; ends the run by returning True."""


@dataclass(frozen=True, slots=True)
class Inertia:
    """Damping of ISEHD: viscous α in 1/time, Hessian-driven β in units of time."""

    alpha: float
    beta: float = 0.0


def next_velocity(v: Tensor, g: Tensor, g_before: Tensor, h: float, d: Inertia) -> Tensor:
    """The next velocity."""
    return (v - d.beta * (g - g_before) - h * g) / (1 + d.alpha * h)


def discrete_energy(f: float, v: Tensor, g: Tensor, d: Inertia) -> float:
    """``(1 + αβ) f + ½|v + β g|²``."""
    return (1 + d.alpha * d.beta) * f + float((v + d.beta * g).square().sum()) / 2


def decreases_enough(after: float, before: float, v: Tensor, h: float, d: Inertia) -> bool:
    """``E_{k+1} ≤ E_k − η α h |v_{k+1}|²``."""
    return after <= before - SHARE * d.alpha * h * float(v.square().sum())


def isehd(
    f: Objective, theta: Tensor, d: Inertia, h: float, steps: int, seen: Callback, *, adaptive: bool
) -> list[Iteration]:
    """Inertial steps from rest.

    Args:
        f: what is minimised.
        theta: the start, shape ``(p,)``.
        d: damping.
        h: the step, or the one before the first where it adapts: ×1.5, then halved until E decreases enough.
        steps: at most.
        seen: told of each iteration.
        adaptive: whether h adapts.

    Returns:
        The start, and each iteration.

    Raises:
        ArithmeticError: no step above 1e-12 decreases E.
    """
    at = f(theta)
    v, g = torch.zeros_like(theta), at.gradient()
    g_before, evaluations, log = g, 1, []
    E = discrete_energy(at.loss, v, g_before, d)
    log.append(Iteration(at.loss, 0.0, E, h, evaluations))
    for k in range(steps):
        h = LARGER * h if adaptive else h
        while True:
            w = next_velocity(v, g, g_before, h, d)
            ahead = theta + h * w
            there, evaluations = f(ahead), evaluations + 1
            after = discrete_energy(there.loss, w, g, d)
            if not adaptive or decreases_enough(after, E, w, h, d):
                break
            h *= SMALLER
            if h < SMALLEST_STEP:
                raise ArithmeticError(f"no step decreases the energy in iteration {k}")
        theta, v, E, g_before, g = ahead, w, after, g, there.gradient()
        log.append(Iteration(there.loss, float(v.square().sum()) / 2, E, h, evaluations))
        if seen(k + 1, theta, log[-1]):
            break
    return log


def gradient_descent(
    f: Objective, theta: Tensor, h: float, steps: int, seen: Callback, *, adaptive: bool
) -> list[Iteration]:
    """Gradient descent; an adaptive step follows the same rule, with ``f_{k+1} ≤ f_k − ½ h |g|²``.

    Returns:
        The start, and each iteration.

    Raises:
        ArithmeticError: no step above 1e-12 decreases f.
    """
    at, evaluations = f(theta), 1
    log = [Iteration(at.loss, 0.0, math.nan, h, evaluations)]
    for k in range(steps):
        g = at.gradient()
        h = LARGER * h if adaptive else h
        while True:
            there, evaluations = f(theta - h * g), evaluations + 1
            if not adaptive or there.loss <= at.loss - SHARE * h * float(g.square().sum()):
                break
            h *= SMALLER
            if h < SMALLEST_STEP:
                raise ArithmeticError(f"no step decreases the loss in iteration {k}")
        theta, at = theta - h * g, there
        log.append(Iteration(at.loss, 0.0, math.nan, h, evaluations))
        if seen(k + 1, theta, log[-1]):
            break
    return log


def adam(f: Objective, theta: Tensor, rate: float, steps: int, seen: Callback) -> list[Iteration]:
    """torch's Adam, as a reference. Returns as ``isehd``."""
    parameter = torch.nn.Parameter(theta.clone())
    optimiser = torch.optim.Adam([parameter], lr=rate)
    at = f(parameter.detach())
    log = [Iteration(at.loss, 0.0, math.nan, rate, 1)]
    for k in range(steps):
        parameter.grad = at.gradient()
        optimiser.step()
        at = f(parameter.detach())
        log.append(Iteration(at.loss, 0.0, math.nan, rate, k + 2))
        if seen(k + 1, parameter.detach(), log[-1]):
            break
    return log


def violations(energies: list[float], rounding: float = 1e-12) -> int:
    """How often a recorded energy is above the one before it, beyond rounding relative to the first."""
    return sum(b > a + rounding * abs(energies[0]) for a, b in pairwise(energies))


def safe_step(L: float, d: Inertia) -> float:
    """``2(α/L − β)``: below it ``f_k + ½(1 + βLh)|v_k|²`` does not increase, for an L-Lipschitz gradient."""
    return 2 * (d.alpha / L - d.beta)
