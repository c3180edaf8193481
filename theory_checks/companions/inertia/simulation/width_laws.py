"""How much the Jacobian and the kernel change in training, as a function of the width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch

from . import flows, kernel, network, rate_fits
from .activations import TANH, mean_square_slope
from .problem import problem, spread
from .settings import Setting

N, SIGMA_A, HORIZON = 16, 0.3, 60.0


@dataclass(frozen=True, slots=True)
class Drift:
    """Relative changes at one width: geometric means over seeds, in operator norms.

    Attributes:
        k: the width.
        concentration: ``|J Jᵀ/C² − I|`` at the start.
        jacobian: ``|J_T − J_0| / |J_0|`` after the fit.
        kernel: ``|K_T − K_0| / |K_0|`` after the fit.
    """

    k: int
    concentration: float
    jacobian: float
    kernel: float


def _norm(M: torch.Tensor) -> float:
    return float(torch.linalg.matrix_norm(M, 2))


def _distances(setting: Setting, k: int, seed: int) -> tuple[float, float, float]:
    of = problem(spread(N, SIGMA_A), seed, setting.device)
    fit, z0 = network.two_layer(of, k, TANH, seed + 1000)
    J = fit.jacobian(z0)
    K = kernel.kernel(of.A, J)
    mu = kernel.smallest(kernel.modes(K)[0])
    damping = flows.damping_pairs([kernel.best_alpha(mu, 0.0)], [0.0], setting.device)
    end = flows.inertial_flow(fit, z0, damping, 0.25, HORIZON, 240).theta[0]
    J_end = fit.jacobian(end)
    eye = torch.eye(N, dtype=J.dtype, device=J.device)
    concentration = _norm(J @ J.T / mean_square_slope(TANH) - eye)
    return concentration, _norm(J_end - J) / _norm(J), _norm(kernel.kernel(of.A, J_end) - K) / _norm(K)


@cache
def drifts(setting: Setting) -> list[Drift]:
    """The changes at each width."""
    out = []
    for k in setting.widths:
        rows = [_distances(setting, k, setting.seed + i) for i in range(setting.width_seeds)]
        means = (math.exp(sum(math.log(row[j]) for row in rows) / len(rows)) for j in range(3))
        out.append(Drift(k, *means))
    return out


def width_exponents(changes: list[Drift]) -> tuple[float, float, float]:
    """Exponents in k of the concentration, the Jacobian's drift and the kernel's."""
    ks = [float(d.k) for d in changes]
    columns = ([d.concentration for d in changes], [d.jacobian for d in changes], [d.kernel for d in changes])
    a, b, c = (rate_fits.log_slope(ks, column) for column in columns)
    return a, b, c
