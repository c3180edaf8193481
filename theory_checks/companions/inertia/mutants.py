"""Wrong implementations of the inertial deep inverse prior, each of which a claim must catch."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import Tensor

from ...engine import Mutant, mutant
from .simulation import (
    discrete_schemes,
    flow_certificate,
    flows,
    kernel,
    matrix_free,
    network,
    rate_fits,
    recovery,
    width_laws,
)
from .simulation.discrete_schemes import Callback, Inertia, Iteration
from .simulation.flow_certificate import Certificate
from .simulation.flows import Damping, State
from .simulation.inertial_certificate import InertialCertificate
from .simulation.network import Fit, LinearisedNetwork, TwoLayer

SLOPES = TwoLayer.residual_and_gradient
FROZEN = LinearisedNetwork.residual_and_gradient
FIELD = flows.inertial_field
RESPONSE = kernel.response
MOVE = discrete_schemes.next_velocity
ISEHD = discrete_schemes.isehd
PRODUCT = matrix_free.product
ENERGY = flows.flow_energy


def _doubled(self: TwoLayer, z: Tensor) -> tuple[Tensor, Tensor]:
    r, g = SLOPES(self, z)
    return r, 2 * g


def _doubled_frozen(self: LinearisedNetwork, z: Tensor) -> tuple[Tensor, Tensor]:
    r, g = FROZEN(self, z)
    return r, 2 * g


def _zero_v(fit: Fit, theta0: Tensor, d: Damping) -> State:
    theta = theta0.expand(len(d.alpha), -1)
    return State(theta, torch.zeros_like(theta), torch.zeros_like(d.alpha))


def _beta_reversed(fit: Fit, s: State, d: Damping) -> State:
    return FIELD(fit, s, Damping(d.alpha, -d.beta))


def _plus(fit: Fit, s: State, d: Damping) -> State:
    right, g = FIELD(fit, s, d), fit.residual_and_gradient(s.theta)[1]
    return right._replace(v=-d.alpha * s.v - (1 + d.alpha * d.beta) * g)


def _undamped_position(fit: Fit, s: State, d: Damping) -> State:
    return FIELD(fit, s, d)._replace(theta=s.v)


def _half_alpha(fit: Fit, s: State, d: Damping) -> State:
    return FIELD(fit, s, Damping(d.alpha / 2, d.beta))


def _cosines(lam: Tensor, alpha: Tensor, beta: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    a = (alpha + beta * lam) / 2
    omega = torch.sqrt(torch.complex(lam - a.square(), torch.zeros_like(lam - a)))
    swing = torch.exp(-a * t) * (torch.cos(omega * t) + a / omega * torch.sin(omega * t))
    return swing.real, RESPONSE(lam, alpha, beta, t)[1]


def _euler(f: Callable[[State], State], s: State, h: float) -> State:
    return State(*(a + h * b for a, b in zip(s, f(s), strict=True)))


def _undivided(v: Tensor, g: Tensor, g_before: Tensor, h: float, d: Inertia) -> Tensor:
    return (1 + d.alpha * h) * MOVE(v, g, g_before, h, d)


def _gradient_ahead(
    f: discrete_schemes.Objective,
    theta: Tensor,
    d: Inertia,
    h: float,
    steps: int,
    callback: Callback,
    *,
    adaptive: bool,
) -> list[Iteration]:
    """ISEHD with the Hessian term ``g_{k+1} − g_k``, where ``g_{k+1}`` is taken at ``θ + h v`` of the old velocity."""
    current = [theta]

    def follow(k: int, theta: Tensor, s: Iteration) -> bool:
        current[0] = theta
        return callback(k, theta, s)

    def ahead(v: Tensor, g: Tensor, g_before: Tensor, h: float, d: Inertia) -> Tensor:
        return MOVE(v, g, 2 * g - f(current[0] + h * v).gradient(), h, d)

    with patch.object(discrete_schemes, "next_velocity", ahead):
        return ISEHD(f, theta, d, h, steps, follow, adaptive=adaptive)


def _bare_energy(f: float, v: Tensor, g: Tensor, d: Inertia) -> float:
    return f + float((v + d.beta * g).square().sum()) / 2


def _lenient(c: Certificate) -> bool:
    return c.needed <= 2 * c.radius


def _twice(residual: matrix_free.Residual, theta: Tensor):
    apply = PRODUCT(residual, theta)
    return lambda w: apply(apply(w))


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "loss |r|² without ½",
        (
            (network, "loss", lambda r: r.square().sum(-1)),
            (flows, "loss", lambda r: r.square().sum(-1)),
            (TwoLayer, "residual_and_gradient", _doubled),
            (LinearisedNetwork, "residual_and_gradient", _doubled_frozen),
        ),
        ("1.1", "1.2"),
    ),
    mutant("v(0) = 0, so that θ′(0) is not", flows, "initial_state", _zero_v, "1.1"),
    mutant("β with the wrong sign", flows, "inertial_field", _beta_reversed, "1.1", "1.2"),
    mutant("1 + αβ in place of 1 − αβ in v′", flows, "inertial_field", _plus, "1.1", "1.2"),
    mutant("θ′ = v, without −β∇L", flows, "inertial_field", _undamped_position, "1.1", "1.2"),
    mutant("α halved", flows, "inertial_field", _half_alpha, "1.1"),
    mutant("Euler's method in place of RK4", flows, "rk4", _euler, "1.1", "1.2"),
    mutant("response by sines over ω", kernel, "response", _cosines, "1.1"),
    mutant("A in place of Aᵀ in K", kernel, "kernel", lambda A, J: A @ J @ J.T @ A, "1.1"),
    mutant(
        "µ over the kernel of Aᵀ as well", kernel, "smallest", lambda values: float(values.abs().min()), "1.1"
    ),
    mutant("α* = 2√µ whatever β", kernel, "best_alpha", lambda mu, beta: 2 * mu**0.5, "1.1"),
    mutant(
        "rate fitted on |r| through its zeros",
        rate_fits,
        "energy_norm",
        lambda r, dr, mu: r.norm(dim=-1),
        "1.1",
    ),
    mutant("products with K made twice", matrix_free, "product", _twice, "1.1"),
    mutant(
        "E without 1 + αβ, continuous",
        flows,
        "flow_energy",
        lambda L, v, d: ENERGY(L, v, Damping(0 * d.alpha, d.beta)),
        "1.2",
    ),
    mutant("E without 1 + αβ, discrete", discrete_schemes, "discrete_energy", _bare_energy, "1.8"),
    mutant("ISEHD without 1/(1 + αh)", discrete_schemes, "next_velocity", _undivided, "1.8"),
    mutant("Hessian term with g_{k+1}", discrete_schemes, "isehd", _gradient_ahead, "1.8"),
    mutant(
        "adaptive rule that accepts without decrease",
        discrete_schemes,
        "decreases_enough",
        lambda after, before, v, h, d: True,
        "1.8",
    ),
    mutant("certificate with R' ≤ 2R", flow_certificate, "certifies_flow", _lenient, "1.6"),
    mutant(
        "Lipschitz constant of J without √n",
        flow_certificate,
        "lipschitz",
        lambda n, k, curvature: curvature / k**0.5,
        "1.6",
    ),
    mutant(
        "inertial certificate without σ_J in its rate",
        InertialCertificate,
        "b",
        property(lambda g: g.alpha / 4),
        "1.6",
    ),
    mutant("C² = (E φ′)²", width_laws, "mean_square_slope", lambda phi: 0.6057**2, "1.7"),
    mutant(
        "recovery bound that forgets the noise",
        recovery,
        "bound",
        lambda c: c.residual / c.smallest + (1 + c.norm / c.smallest) * c.misfit,
        "1.9",
    ),
    mutant(
        "stop at half the noise",
        recovery,
        "discrepancy",
        lambda residual, noise: rate_fits.first_below(residual, noise / 2),
        "1.9",
    ),
)
