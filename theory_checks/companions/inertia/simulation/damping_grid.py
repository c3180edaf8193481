"""The two-layer network over a grid of dampings, from a start near the truth and from one far from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

from torch import Tensor

from . import flows, kernel, network, rate_fits
from .activations import TANH
from .flows import Trajectory
from .network import TwoLayer
from .problem import gap, problem
from .settings import Setting

SIGMA_A, NEAR = 0.1, 0.25
"""The smallest singular value of A; the standard deviation of x̄ − g(θ0) for the start near the truth."""
FLOOR = 1e-10
"""Relative residuals below it are not compared: there the rounding of RK4 dominates."""


@dataclass(frozen=True, slots=True)
class GridProblem:
    """A network with its start, and the eigenvalues (ascending) and eigenvectors of K there, and µ."""

    fit: TwoLayer
    z0: Tensor
    values: Tensor
    vectors: Tensor
    mu: float


@cache
def grid_problem(setting: Setting, near: bool) -> GridProblem:
    """The problem with ``x̄ = g(θ0) + ¼ δ`` (near) or ``x̄ = δ`` (far), where δ is standard normal."""
    of = problem(gap(setting.sweep_n, SIGMA_A), setting.seed, setting.device)
    fit, z0 = network.two_layer(of, setting.sweep_k, TANH, setting.seed + 1)
    if near:
        truth = fit.image(z0) + NEAR * of.truth
        fit = replace(fit, problem=replace(of, truth=truth, y=of.A @ truth))
    values, vectors = kernel.network_modes(fit, z0)
    return GridProblem(fit, z0, values, vectors, kernel.smallest(values))


@dataclass(frozen=True, slots=True)
class GridEntry:
    """The rates at one damping of the grid.

    Attributes:
        a, b: ``α/√µ`` and ``β√µ``, µ at the start.
        measured: fitted rate of the energy norm.
        at_start, at_end: the rate fitted in the same way for the constant kernel of the start, and of the end.
        rho, rho_end: ``ρ(α, β)`` of these kernels.
        excess, excess_end: the largest ``|r| / ((1 + ρt)e^(−ρt)|r0|)``, with ρ of the start, and with the smaller ρ.
        energy: the largest relative error of the energy identity.
    """

    a: float
    b: float
    measured: float
    at_start: float
    at_end: float
    rho: float
    rho_end: float
    excess: float
    excess_end: float
    energy: float


@cache
def grid_trajectories(setting: Setting, near: bool) -> tuple[list[tuple[float, float]], Trajectory]:
    """The pairs ``(α/√µ, β√µ)``, and their trajectories as one batch."""
    s = grid_problem(setting, near)
    alphas, betas = (setting.alphas, setting.betas) if near else (setting.far_alphas, setting.far_betas)
    pairs = [(a, b) for b in betas for a in alphas]
    root = s.mu**0.5
    d = flows.damping_pairs([a * root for a, _ in pairs], [b / root for _, b in pairs], setting.device)
    return pairs, flows.inertial_flow(
        s.fit, s.z0, d, setting.sweep_step, setting.horizon, round(1 / setting.sweep_step)
    )


def linear_rate(
    s: GridProblem, values: Tensor, vectors: Tensor, alpha: float, beta: float, t: Tensor
) -> float:
    """The rate that is fitted to the exact response of a constant kernel."""
    r0 = vectors.T @ s.fit.residual(s.z0)
    q, dq = kernel.response(values, t.new_tensor(alpha), t.new_tensor(beta), t[:, None])
    return rate_fits.decay(t, rate_fits.energy_norm(q * r0, dq * r0, s.mu))


def excess(size: Tensor, rho: float, t: Tensor) -> float:
    """The largest ``|r(t)| / ((1 + ρt)e^(−ρt)|r0|)`` while ``|r|`` is above 1e-10 of ``|r0|``; nan if never."""
    relative = size / size[0]
    ratios = (relative / kernel.envelope(rho, t))[relative > FLOOR]
    return float(ratios.max()) if len(ratios) > rate_fits.FEWEST else math.nan


@cache
def grid_entries(setting: Setting, near: bool) -> list[GridEntry]:
    """The entries of the grid; α varies fastest."""
    s, (pairs, p) = grid_problem(setting, near), grid_trajectories(setting, near)
    root, norms = s.mu**0.5, rate_fits.energy_norm(p.r, p.dr, s.mu)
    sizes, out = p.r.norm(dim=-1), []
    for i, (a, b) in enumerate(pairs):
        alpha, beta = a * root, b / root
        end = kernel.network_modes(s.fit, p.theta[i])
        rho, rho_end = kernel.rate(s.values, alpha, beta), kernel.rate(end[0], alpha, beta)
        balance = (p.energy[:, i] + p.dissipated[:, i]) / p.energy[0, i] - 1
        out.append(
            GridEntry(
                a,
                b,
                measured=rate_fits.decay(p.t, norms[:, i]),
                at_start=linear_rate(s, s.values, s.vectors, alpha, beta, p.t),
                at_end=linear_rate(s, *end, alpha, beta, p.t),
                rho=rho,
                rho_end=rho_end,
                excess=excess(sizes[:, i], rho, p.t),
                excess_end=excess(sizes[:, i], min(rho, rho_end), p.t),
                energy=float(balance.abs().max()),
            )
        )
    return out


@dataclass(frozen=True, slots=True)
class GradientFlowRun:
    """Gradient flow: times, ``|r|``, the fitted rate, and µ at the end."""

    t: Tensor
    size: Tensor
    rate: float
    mu_end: float


@cache
def gradient_flow_run(setting: Setting, near: bool) -> GradientFlowRun:
    """Gradient flow until ``e^(−µt)`` is 1e-8."""
    s = grid_problem(setting, near)
    p, _ = flows.gradient_flow(s.fit, s.z0, 2.0, math.log(1e8) / s.mu, 4)
    end = kernel.network_modes(s.fit, p.theta[0])
    size = p.r[:, 0].norm(dim=-1)
    return GradientFlowRun(p.t, size, rate_fits.decay(p.t, size), kernel.smallest(end[0]))
