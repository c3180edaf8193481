"""Lyapunov exponents of finite networks, from a tangent vector and layers that are drawn afresh."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from . import mean_field, networks, tangents
from .networks import Architecture
from .settings import Setting

SIGMA_B = (0.5, 1.0, 2.0)
SHIFTS = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
"""Distances from the edge of chaos, times the width, at which exponents are measured to find their root."""


@dataclass(frozen=True, slots=True)
class Exponents:
    """Mean growth per layer of the log norm of a tangent, and its standard error over chains; ``(P,)`` each."""

    mean: np.ndarray
    error: np.ndarray


def erf_derivative(z: Tensor) -> Tensor:
    """``erf'(z) = 2/√π exp(−z²)``."""
    return (2 / math.sqrt(math.pi)) * torch.exp(-z * z)


def lyapunov_exponents(
    architecture: Architecture, width: int, where: Tensor, layers: int, setting: Setting, seed: int
) -> Exponents:
    """The exponents at the points ``where`` (σ_w and σ_b, ``(2, P)``, float64), with the same layers for all points.

    Parallel chains apply ``layers`` layers in all, in float64, after ``exponent_burn`` discarded layers each.
    """
    source, chains, columns = networks.generator(seed), setting.exponent_chains, where.shape[1]
    sigma_w, sigma_b = where.to(setting.device)
    x = networks.normal((chains, width, columns), source).to(setting.device).double()
    tangent = networks.normal((chains, width, columns), source).to(setting.device).double()
    growth = torch.zeros(chains, columns, dtype=torch.float64, device=setting.device)
    counted = layers // chains
    for step in range(setting.exponent_burn + counted):
        maps = networks.linear_maps(architecture, width, chains, source).to(setting.device).double()
        biases = networks.normal((chains, width, 1), source).to(setting.device).double()
        tangent = tangent / tangent.norm(dim=1, keepdim=True)
        images = torch.bmm(maps, torch.cat([x, tangent], dim=2)) * torch.cat([sigma_w, sigma_w])
        z = images[..., :columns] + sigma_b * biases
        x, tangent = torch.erf(z), tangents.erf_derivative(z) * images[..., columns:]
        if step >= setting.exponent_burn:
            growth += tangent.norm(dim=1).log()
    each = (growth / counted).cpu()
    return Exponents(each.mean(0).numpy(), (each.std(0) / math.sqrt(chains)).numpy())


@cache
def edge_exponents(setting: Setting, width: int, layers: int) -> Exponents:
    """The exponents of the MLP on the edge of chaos at ``SIGMA_B``, then at σ_b = 1 and ``SHIFTS`` from the edge."""
    edge = mean_field.edge_sigma_w(1.0)
    sigma_w = [
        *(mean_field.edge_sigma_w(b) for b in SIGMA_B),
        *(edge + edge_shift / width for edge_shift in SHIFTS),
    ]
    where = torch.tensor([sigma_w, [*SIGMA_B, *(1.0 for _ in SHIFTS)]], dtype=torch.float64)
    return lyapunov_exponents(Architecture.MLP, width, where, layers, setting, seed=width)


@cache
def other_edge_exponents(setting: Setting, architecture: Architecture) -> Exponents:
    """The exponents of another architecture on the edge of chaos at ``SIGMA_B``, at ``other_width``."""
    where = torch.tensor([[mean_field.edge_sigma_w(b) for b in SIGMA_B], SIGMA_B], dtype=torch.float64)
    return lyapunov_exponents(architecture, setting.other_width, where, setting.other_layers, setting, seed=7)


def edge_shift(width: int, exponents: Exponents) -> float:
    """The σ_w at which the exponent vanishes, minus that of the edge of chaos, at σ_b = 1.

    Computed as the root of a parabola through the exponents at ``SHIFTS``; nan if it has no root between them.
    """
    shifts = np.array(SHIFTS) / width
    roots = np.roots(np.polyfit(shifts, exponents.mean[len(SIGMA_B) :], 2))
    real = roots[np.isreal(roots)].real
    inner = real[(real >= 0) & (real <= shifts[-1])]
    return float(inner.min()) if len(inner) else math.nan
