"""What decides a training, and the named recipes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ...operators.gradient_step import SmoothRegulariser
from .adabelief import AdaBelief

OPTIMISERS: dict[str, Callable[[list[dict[str, object]]], torch.optim.Optimizer]] = {
    "adam": lambda groups: torch.optim.Adam(groups, betas=(0.9, 0.99)),
    # With the gradients of a mean over pixels, the default eps would dominate the spread.
    "adabelief": lambda groups: AdaBelief(groups, betas=(0.5, 0.9), eps=1e-16),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training. With the images they determine the weights, on one kind of machine.

    Attributes:
        solver: the call of an estimator.
        optimiser: a name of ``OPTIMISERS``.
        rate: largest learning rate of filters.
        factor: the rate of all other parameters over that of filters.
        floor: the last rate over the largest one; the rate falls along a half cosine. 1 for a constant rate.
        average: largest factor of the running average of the weights; 0 for the last weights.
        batch, crop: number of crops in a step, and their side in pixels.
        steepness: initial b of a ridge regulariser; ``None`` for its default.
    """

    solver: str
    optimiser: str = "adam"
    rate: float = 2e-2
    factor: float = 1.0
    floor: float = 0.01
    average: float = 0.99
    batch: int = 8
    crop: int = 40
    steepness: float | None = None

    def optimise(self, regulariser: SmoothRegulariser) -> torch.optim.Optimizer:
        """The optimiser, with a group for filters and one for all other parameters."""
        filters = [
            p for p in regulariser.parameters() if p.requires_grad and p.dim() == 4 and p.shape[-1] > 1
        ]
        chosen = {id(p) for p in filters}
        others = [p for p in regulariser.parameters() if p.requires_grad and id(p) not in chosen]
        groups: list[dict[str, object]] = [
            {"params": filters, "lr": self.rate, "share": 1.0},
            {"params": others, "lr": self.rate * self.factor, "share": self.factor},
        ]
        return OPTIMISERS[self.optimiser](groups)

    def rate_at(self, progress: float) -> float:
        """The learning rate of filters once a share ``progress`` in [0, 1] of the training is done."""
        return self.rate * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2)


def averaged(slow: nn.Module, fast: nn.Module, keep: float) -> None:
    """Move the parameters of ``slow`` to those of ``fast``, but for a share ``keep``."""
    with torch.no_grad():
        for a, b in zip(slow.parameters(), fast.parameters(), strict=True):
            a.lerp_(b, 1 - keep)


RECIPES: dict[str, Recipe] = {
    "fast": Recipe("implicit(quasi_newton(3e-5, 25), cg(0.1))"),
    "study": Recipe(
        "implicit(quasi_newton(1e-6, 200), cg(1e-4))", "adabelief", 1e-3, floor=1.0, average=0.0, crop=64
    ),
}
"""``study`` is arXiv 2510.01755's: implicit differentiation, AdaBelief at 1e-3, patches of 64×64."""
