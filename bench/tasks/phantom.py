"""A phantom of a head in three dimensions: ellipsoids, as in the phantom of Shepp and Logan."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ELLIPSOIDS = (
    (1.0, 0.69, 0.92, 0.81, 0.0, 0.0, 0.0, 0.0),
    (-0.8, 0.6624, 0.874, 0.78, 0.0, -0.0184, 0.0, 0.0),
    (-0.2, 0.11, 0.31, 0.22, 0.22, 0.0, 0.0, -18.0),
    (-0.2, 0.16, 0.41, 0.28, -0.22, 0.0, 0.0, 18.0),
    (0.1, 0.21, 0.25, 0.41, 0.0, 0.35, -0.15, 0.0),
    (0.1, 0.046, 0.046, 0.05, 0.0, 0.1, 0.25, 0.0),
    (0.1, 0.046, 0.046, 0.05, 0.0, -0.1, 0.25, 0.0),
    (0.1, 0.046, 0.023, 0.05, -0.08, -0.605, 0.0, 0.0),
    (0.1, 0.023, 0.023, 0.02, 0.0, -0.606, 0.0, 0.0),
    (0.1, 0.023, 0.046, 0.02, 0.06, -0.605, 0.0, 0.0),
)
"""Value, three half-axes, centre, and angle about the first axis in degrees, in a cube from −1 to 1. The plane of the
last two axes is Toft's modification of the phantom of Shepp and Logan (1974, doi 10.1109/TNS.1974.6499235); the depths
are those of Schabel's phantom3d."""
SPREAD = 0.05
"""Relative spread of the half-axes, and spread of the centres of the inner ellipsoids, between phantoms."""


def head_phantom(sides: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """A phantom ``(D, H, W)`` of float64 in [0, 1]; the inner ellipsoids are moved and resized at random by ``rng``."""
    axes = [torch.linspace(-1, 1, side, dtype=torch.float64) for side in sides]
    z, y, x = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    volume = torch.zeros(sides, dtype=torch.float64)
    for number, (value, a, b, c, *centre, degrees) in enumerate(ELLIPSOIDS):
        u, v, w = centre
        if number > 1:
            draw = (2 * torch.rand(6, generator=rng, dtype=torch.float64) - 1) * SPREAD
            a, b, c = (r * (1 + float(d)) for r, d in zip((a, b, c), draw[:3], strict=True))
            u, v, w = (r + float(d) for r, d in zip((u, v, w), draw[3:], strict=True))
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        along, across = (x - u) * cosine + (-y - v) * sine, (-y - v) * cosine - (x - u) * sine
        inside = (along / a).square() + (across / b).square() + ((z - w) / c).square() <= 1
        volume += value * inside
    return volume.clamp_(0, 1)
