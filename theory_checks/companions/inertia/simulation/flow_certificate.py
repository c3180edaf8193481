"""A certificate that gradient flow converges, computed from constants at the start alone.

With ``R' = 2|r0|/(σ_A σ_J)`` and ``R = σ_J/(2 Lip)``: if ``R' < R``, then for all t ``|θ(t) − θ0| ≤ R'``,
``σ_min(J(t)) ≥ σ_J/2`` and ``|r(t)| ≤ |r0| exp(−(σ_A σ_J/2)² t)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from . import flows, network, rate_fits
from .activations import SOFTPLUS
from .network import TwoLayer
from .problem import problem, spread
from .settings import Setting

N, SIGMA_A = 8, 0.6
ROUNDING = 1e-9
"""Relative excess over a bound that is put down to the rounding of RK4."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The constants at the start.

    Attributes:
        smallest: σ_A, the smallest singular value of A on its range.
        jacobian: σ_J, the smallest singular value of J.
        lipschitz: Lipschitz constant of J.
        r0: ``|r(θ0)|``.
    """

    smallest: float
    jacobian: float
    lipschitz: float
    r0: float

    @property
    def needed(self) -> float:
        """R′, a bound on the length of the way that the flow takes."""
        return 2 * self.r0 / (self.smallest * self.jacobian)

    @property
    def radius(self) -> float:
        """R, the radius of the ball in which ``σ_min(J) ≥ σ_J/2``."""
        return self.jacobian / (2 * self.lipschitz)

    @property
    def rate(self) -> float:
        """The guaranteed rate of gradient flow."""
        return (self.smallest * self.jacobian / 2) ** 2


def certifies_flow(c: Certificate) -> bool:
    """Whether ``R' < R``."""
    return c.needed < c.radius


def lipschitz(n: int, k: int, curvature: float) -> float:
    """The Lipschitz constant of the Jacobian, ``B √(n/k)``.

    The columns of the signs V have norm √n, so ``|V diag(d)| ≤ √n |d|``; and ``|φ′(z) − φ′(z′)| ≤ B |z − z′|``.
    """
    return curvature * math.sqrt(n / k)


def certify(fit: TwoLayer, z0: Tensor) -> Certificate:
    """The constants of a two-layer network at its start z0."""
    n, k = fit.V.shape
    singular = torch.linalg.svdvals(fit.problem.A)
    sigma_A = float(singular[singular > 1e-9 * singular.max()].min())
    sigma_J = float(torch.linalg.svdvals(fit.jacobian(z0)).min())
    r0 = float(fit.residual(z0).norm())
    return Certificate(sigma_A, sigma_J, lipschitz(n, k, fit.phi.curvature), r0)


def wide_enough(c: Certificate, n: int, k: int, curvature: float) -> bool:
    """The condition on the width, ``k > n (4 B |r0| / (σ_A σ_J²))²``."""
    return k > n * (4 * curvature * c.r0 / (c.smallest * c.jacobian**2)) ** 2


@dataclass(frozen=True, slots=True)
class CertificateCheck:
    """A certificate, and the largest ratios of measured to guaranteed values, at most 1 where it holds.

    Attributes:
        k: width.
        certificate: the constants at the start.
        valid, agrees: whether ``R' < R``, and whether the condition on the width says the same.
        moved: ``max |θ(t) − θ0| / R'``.
        jacobian: ``max (σ_J/2) / σ_min(J(t))``.
        residual: ``max |r(t)| / (|r0| e^(−rate t))``.
        too_fast: the same with the rate ``2 (σ_A σ_J)²``.
        inertial: fitted rate of the inertial system at ``α = σ_A σ_J`` over ``σ_A σ_J / 2``.
    """

    k: int
    certificate: Certificate
    valid: bool
    agrees: bool
    moved: float
    jacobian: float
    residual: float
    too_fast: float
    inertial: float


def softplus_network(setting: Setting, k: int) -> tuple[TwoLayer, Tensor]:
    """The softplus network of claim 1.6, and its start."""
    of = problem(spread(N, SIGMA_A), setting.seed, setting.device)
    return network.two_layer(of, k, SOFTPLUS, setting.seed + k)


@cache
def certificates(setting: Setting) -> list[tuple[int, Certificate, bool, bool]]:
    """Width, certificate, whether ``R' < R``, and whether the condition on the width says the same."""
    out = []
    for k in setting.certified_widths:
        fit, z0 = softplus_network(setting, k)
        c = certify(fit, z0)
        out.append((k, c, certifies_flow(c), certifies_flow(c) == wide_enough(c, N, k, fit.phi.curvature)))
    return out


@cache
def certificate_checks(setting: Setting) -> list[CertificateCheck]:
    """The certificate checked on gradient flow and the inertial system, at each width."""
    out = []
    for k, c, valid, agrees in certificates(setting):
        fit, z0 = softplus_network(setting, k)
        path, thetas = flows.gradient_flow(fit, z0, 0.5, 160.0, 4)
        smallest = min(float(torch.linalg.svdvals(fit.jacobian(z)).min()) for z in thetas)
        size = path.r[:, 0].norm(dim=-1)
        alpha = c.smallest * c.jacobian
        inertial = flows.inertial_flow(
            fit, z0, flows.damping_pairs([alpha], [0.0], setting.device), 0.25, 160.0, 2
        )
        norm = rate_fits.energy_norm(inertial.r[:, 0], inertial.dr[:, 0], alpha**2)
        out.append(
            CertificateCheck(
                k,
                c,
                valid,
                agrees,
                moved=float((thetas - z0).norm(dim=-1).max()) / c.needed,
                jacobian=c.jacobian / 2 / smallest,
                residual=float((size / (c.r0 * torch.exp(-c.rate * path.t))).max()),
                too_fast=float((size / (c.r0 * torch.exp(-8 * c.rate * path.t))).max()),
                inertial=rate_fits.decay(inertial.t, norm) / (alpha / 2),
            )
        )
    return out
