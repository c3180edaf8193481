"""The inertial system in continuous time, and gradient flow, integrated by RK4 for a batch of dampings.

    θ″ + α θ′ + β d/dt ∇L(θ) + ∇L(θ) = 0,  θ(0) = θ0,  θ′(0) = 0

With ``v = θ′ + β ∇L`` no Hessian is left: ``θ′ = v − β∇L``, ``v′ = −α v − (1 − αβ) ∇L``, ``v(0) = β ∇L(θ0)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .network import Fit, loss


class State(NamedTuple):
    """State of the system: θ and v ``(b, k)``, and the energy dissipated so far ``(b, 1)``."""

    theta: Tensor
    v: Tensor
    dissipated: Tensor


@dataclass(frozen=True, slots=True)
class Damping:
    """Viscous damping α and Hessian-driven damping β, shapes ``(b, 1)``."""

    alpha: Tensor
    beta: Tensor


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A recorded trajectory of each damping.

    Attributes:
        t: times, shape ``(T,)``.
        r, dr: residual and its derivative in time, shape ``(T, b, m)``.
        energy: E, shape ``(T, b)``.
        dissipated: ``∫ α|θ′|² + β|∇L|²``, shape ``(T, b)``.
        theta: the last θ, shape ``(b, k)``.
    """

    t: Tensor
    r: Tensor
    dr: Tensor
    energy: Tensor
    dissipated: Tensor
    theta: Tensor


def damping_pairs(alphas: list[float], betas: list[float], device: str | torch.device = "cpu") -> Damping:
    """The pairs ``(α_i, β_i)`` as a batch, in float64."""
    pairs = torch.tensor([alphas, betas], dtype=torch.float64, device=device)
    return Damping(pairs[0, :, None], pairs[1, :, None])


def initial_state(fit: Fit, theta0: Tensor, d: Damping) -> State:
    """The state at rest, ``v(0) = β∇L(θ0)``; θ0 has shape ``(k,)``."""
    theta = theta0.expand(len(d.alpha), -1)
    return State(theta, d.beta * fit.residual_and_gradient(theta)[1], torch.zeros_like(d.alpha))


def inertial_field(fit: Fit, s: State, d: Damping) -> State:
    """The time derivative of a state of the inertial system."""
    g = fit.residual_and_gradient(s.theta)[1]
    velocity = s.v - d.beta * g
    loss_rate = d.alpha * velocity.square().sum(-1, keepdim=True) + d.beta * g.square().sum(-1, keepdim=True)
    return State(velocity, -d.alpha * s.v - (1 - d.alpha * d.beta) * g, loss_rate)


def gradient_field(fit: Fit, s: State) -> State:
    """The time derivative of gradient flow, ``θ′ = −∇L``; it dissipates ``|∇L|²``."""
    g = fit.residual_and_gradient(s.theta)[1]
    return State(-g, torch.zeros_like(s.v), g.square().sum(-1, keepdim=True))


def flow_energy(L: Tensor, v: Tensor, d: Damping) -> Tensor:
    """``E = (1 + αβ) L + ½|v|²``, shape ``(b,)``, of the loss ``(b,)`` and v ``(b, k)``."""
    return (1 + d.alpha * d.beta)[:, 0] * L + v.square().sum(-1) / 2


def _euler_step(s: State, k: State, h: float) -> State:
    return State(*(a + h * b for a, b in zip(s, k, strict=True)))


def rk4(f: Callable[[State], State], s: State, h: float) -> State:
    """One step h of the classical Runge–Kutta method for ``s′ = f(s)``."""
    a = f(s)
    b = f(_euler_step(s, a, h / 2))
    c = f(_euler_step(s, b, h / 2))
    d = f(_euler_step(s, c, h))
    return State(*(x + h / 6 * (p + 2 * (q + r) + w) for x, p, q, r, w in zip(s, a, b, c, d, strict=True)))


def _integrate(
    f: Callable[[State], State],
    record: Callable[[State], tuple[Tensor, ...]],
    s: State,
    h: float,
    horizon: float,
    every: int,
) -> tuple[Tensor, list[Tensor], State]:
    """Times of the records, what was recorded (stacked over time), and the last state."""
    records, steps = [], round(horizon / h)
    for i in range(steps + 1):
        if i % every == 0:
            records.append(record(s))
        if i < steps:
            s = rk4(f, s, h)
    t = h * every * torch.arange(len(records), dtype=torch.float64, device=s.theta.device)
    return t, [torch.stack(column) for column in zip(*records, strict=True)], s


def inertial_flow(
    fit: Fit, theta0: Tensor, d: Damping, h: float, horizon: float, every: int = 1
) -> Trajectory:
    """The inertial system from rest.

    Args:
        fit: the least-squares fit that is minimised.
        theta0: start, shape ``(k,)``.
        d: dampings, one trajectory each.
        h: step of RK4, in units of time.
        horizon: last time.
        every: steps between two records.
    """

    def record(s: State) -> tuple[Tensor, ...]:
        r, g = fit.residual_and_gradient(s.theta)
        velocity = s.v - d.beta * g
        return r, fit.jvp(s.theta, velocity), flow_energy(loss(r), s.v, d), s.dissipated[:, 0]

    start = initial_state(fit, theta0, d)
    t, (r, dr, e, lost), last = _integrate(
        lambda s: inertial_field(fit, s, d), record, start, h, horizon, every
    )
    return Trajectory(t, r, dr, e, lost, last.theta)


def gradient_flow(
    fit: Fit, theta0: Tensor, h: float, horizon: float, every: int = 1
) -> tuple[Trajectory, Tensor]:
    """Gradient flow as a batch of one, whose energy is the loss; and all recorded θ ``(T, k)``.

    Args: as of ``inertial_flow``.
    """

    def record(s: State) -> tuple[Tensor, ...]:
        r, g = fit.residual_and_gradient(s.theta)
        return r, fit.jvp(s.theta, -g), loss(r), s.dissipated[:, 0], s.theta[0]

    theta = theta0[None]
    start = State(theta, torch.zeros_like(theta), torch.zeros_like(theta[:, :1]))
    t, (r, dr, e, lost, thetas), last = _integrate(
        lambda s: gradient_field(fit, s), record, start, h, horizon, every
    )
    return Trajectory(t, r, dr, e, lost, last.theta), thetas
