"""Lyapunov exponents of an MLP whose layers are drawn in law: N pairs of numbers instead of N² weights.

Given the activations x and a tangent t, the rows of a fresh Gaussian W give independent pairs ``(Wx, Wt)_i`` with the
covariance of x and t over N. A chain of such layers has exactly the law of the network, and is cheap enough to
distinguish coefficients that differ by a few per cent.
"""

from __future__ import annotations

import math
from functools import cache

import torch

from . import mean_field, networks, tangents
from .settings import Setting
from .tangents import Exponents


@cache
def exponent_in_law(setting: Setting, width: int, sigma_b: float) -> Exponents:
    """The exponent on the edge of chaos, from ``law_units / width`` chains of ``law_layers``; arrays of one entry."""
    source, chains = networks.generator(width), max(2, setting.law_units // width)
    sigma_w = mean_field.edge_sigma_w(sigma_b)
    x, tangent, growth = *_normal(2, chains, width, source, setting), torch.zeros(chains, dtype=torch.float64)
    for step in range(setting.exponent_burn + setting.law_layers):
        size, length = (v.norm(dim=1, keepdim=True) for v in (x, tangent))
        overlap = (x * tangent).sum(1, keepdim=True) / (size * length)
        along, across, bias = _normal(3, chains, width, source, setting)
        z = sigma_w / math.sqrt(width) * size * along + sigma_b * bias
        other = overlap * along + (1 - overlap**2).clamp_min(0).sqrt() * across
        x, tangent = torch.erf(z), tangents.erf_derivative(z) * (sigma_w / math.sqrt(width)) * other
        if step >= setting.exponent_burn:
            growth += tangent.norm(dim=1).log().double().cpu()
    each = growth / setting.law_layers
    return Exponents(
        each.mean(0, keepdim=True).numpy(), (each.std(0, keepdim=True) / math.sqrt(chains)).numpy()
    )


def _normal(count: int, chains: int, width: int, source: torch.Generator, setting: Setting) -> torch.Tensor:
    return networks.normal((count, chains, width), source).to(setting.device)
