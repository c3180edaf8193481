"""Recovery: the distance of the image from the truth, its bound by residual and noise, and the stopping time.

The image is ``x = D h(θ)`` with an orthonormal D, so it lies in ``S = Im D``. For ``λ = σ_min(A D)``,

    |x − x̄| ≤ (|r| + |ε|)/λ + (1 + |A|/λ) dist(x̄, S).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from . import flows, kernel, network, rate_fits
from .activations import F64, TANH
from .problem import generator, problem, rotation, spread
from .settings import Setting

PIXELS, DIMENSIONS, SIGMA_A = 24, 16, 0.1
NOISE, MISFIT = 0.3, 0.3
"""|ε| and dist(x̄, S) where they are not 0."""


@dataclass(frozen=True, slots=True)
class RecoveryRun:
    """A trajectory of the inertial system at critical damping.

    Attributes:
        name: name printed in tables.
        t: times, ``(T,)``.
        residual, error: ``|r|`` and ``|x − x̄|``, ``(T,)``.
        noise, misfit, smallest, norm: ``|ε|``, ``dist(x̄, S)``, λ and ``|A|``.
        stop: the first index at which ``|r| ≤ |ε|``, −1 if never.
    """

    name: str
    t: Tensor
    residual: Tensor
    error: Tensor
    noise: float
    misfit: float
    smallest: float
    norm: float
    stop: int


def bound(c: RecoveryRun) -> Tensor:
    """The bound on the error at each time, ``(T,)``."""
    return (c.residual + c.noise) / c.smallest + (1 + c.norm / c.smallest) * c.misfit


def discrepancy(residual: Tensor, noise: float) -> int:
    """The stopping index of the discrepancy principle: the first with ``|r| ≤ |ε|``, −1 if none."""
    return rate_fits.first_below(residual, noise)


def _run(
    setting: Setting, name: str, noise: float, misfit: float, dimensions: int, *, worst: bool = False
) -> RecoveryRun:
    base = problem(spread(PIXELS, SIGMA_A), setting.seed, setting.device, noise)
    source = generator(setting.seed + 7)
    D = rotation(PIXELS, source)[:, :dimensions].to(setting.device)
    in_range = D @ (0.5 * torch.randn(dimensions, generator=source, dtype=F64)).to(setting.device)
    truth = in_range
    if misfit:
        orthogonal = torch.randn(PIXELS, generator=source, dtype=F64).to(setting.device)
        orthogonal = orthogonal - D @ (D.T @ orthogonal)
        truth = in_range + misfit * orthogonal / orthogonal.norm()
    weakest = torch.linalg.svd(base.A @ D, full_matrices=False)[0][:, -1]
    epsilon = noise * weakest if worst else base.noise
    of = replace(base, A=base.A @ D, y=base.A @ truth + epsilon, truth=truth, noise=epsilon)
    fit, z0 = network.two_layer(of, setting.recovery_k, TANH, setting.seed + 8)
    mu = kernel.smallest(kernel.network_modes(fit, z0)[0])
    damping = flows.damping_pairs([kernel.best_alpha(mu, 0.0)], [0.0], setting.device)
    s = flows.initial_state(fit, z0, damping)
    rows, h = [], 0.5
    for i in range(round(30 / mu**0.5 / h)):
        x = fit.image(s.theta[0]) @ D.T
        rows.append((h * i, fit.residual(s.theta[0]).norm(), (x - truth).norm()))
        s = flows.rk4(lambda state: flows.inertial_field(fit, state, damping), s, h)
    t, residual, error = (torch.tensor([float(row[j]) for row in rows], dtype=F64) for j in range(3))
    smallest = float(torch.linalg.svdvals(of.A).min())
    norm = float(torch.linalg.matrix_norm(base.A, 2))
    return RecoveryRun(name, t, residual, error, noise, misfit, smallest, norm, discrepancy(residual, noise))


@cache
def recovery_runs(setting: Setting) -> list[RecoveryRun]:
    """Runs with and without noise, x̄ in S and off it; and one with S all images and the noise where A is weakest."""
    return [
        _run(setting, "no noise, x̄ in S", 0.0, 0.0, DIMENSIONS),
        _run(setting, "no noise, x̄ off S", 0.0, MISFIT, DIMENSIONS),
        _run(setting, "noise, x̄ in S", NOISE, 0.0, DIMENSIONS),
        _run(setting, "noise, x̄ off S", NOISE, MISFIT, DIMENSIONS),
        _run(setting, "worst noise, S all images", NOISE, 0.0, PIXELS, worst=True),
    ]
