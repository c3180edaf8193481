"""The equilibrium of a learned operator, and whether plain iteration stays there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Anderson, Map

from ..config.profile_schema import EquilibriumTable
from .past_depth import DIVERGED, PastDepthCurve

LOST = 10
"""A residual above ``LOST`` × the tolerance is not that of an equilibrium: image metrics are dropped."""
SAME = 0.1
"""Largest difference in PSNR, in dB, of images that count as equally good."""


@dataclass(frozen=True, slots=True)
class LearnedEquilibrium:
    """The point taken for the equilibrium of a learned operator.

    Attributes:
        residual: ``‖T(x) − x‖ / ‖T(x)‖``, the largest over the samples.
        applications: made by Anderson acceleration.
        by: name of the iteration that found the point.
        converged: whether the residual met the tolerance.
    """

    state: Tensor
    residual: float
    applications: int
    by: str
    converged: bool


@dataclass(frozen=True, slots=True)
class Stability:
    """Result of plain iteration that starts at an equilibrium.

    Attributes:
        stays: whether the residual is still that of an equilibrium, and the images are as good as before.
        steps: applications made; fewer than the budget if the state stopped moving or diverged.
        residual, distance, score: of the last state: the largest residual over the samples, the distance from the
            equilibrium relative to its norm, and the score; infinite or NaN after a divergence.
    """

    stays: bool
    steps: int
    residual: float
    distance: float
    score: float


def residuals(T: Map, x: Tensor) -> Tensor:
    """``‖T(x) − x‖ / ‖T(x)‖`` of each sample, float64 on the CPU; infinite instead of NaN."""
    with torch.no_grad():
        y = T(x).double()
        gap = torch.linalg.vector_norm((y - x.double()).flatten(1), dim=1)
        size = torch.linalg.vector_norm(y.flatten(1), dim=1)
    # 0 / 0 is an equilibrium at 0.
    return torch.where(gap == 0, 0.0, gap / size).nan_to_num(torch.inf, torch.inf).cpu()


def find_equilibrium(
    T: Map, start: Tensor, table: EquilibriumTable, past: PastDepthCurve | None = None
) -> LearnedEquilibrium:
    """Solve ``x = T(x)`` by Anderson acceleration; if it fails, take the end of plain iteration if that is better."""
    with torch.no_grad():
        solution = Anderson(table.tol, table.budget)(T, start)
    state, residual, by = solution.x, float(residuals(T, solution.x).max()), "Anderson acceleration"
    if residual > table.tol and past is not None and past.state is not None:
        # If T is no contraction, only one of the two iterations may converge.
        plain_residual = float(residuals(T, past.state).max())
        if plain_residual < residual:
            state, residual, by = past.state, plain_residual, "plain iteration"
    return LearnedEquilibrium(state, residual, solution.report.applications, by, residual <= table.tol)


def check_stability(
    T: Map, equilibrium: LearnedEquilibrium, score: Callable[[Tensor], float], table: EquilibriumTable
) -> Stability:
    """Check whether the state stays at an equilibrium under ``min(table.budget, table.max_applications)`` applications.

    Acceleration may find equilibria that plain iteration leaves, and the trained iteration is the plain one.
    ``score`` is in dB, higher is better.
    """
    x, score_before = equilibrium.state, score(equilibrium.state)
    rounding = 10 * torch.finfo(x.dtype).eps
    steps, diverged = 0, False
    with torch.no_grad():
        while steps < min(table.budget, table.max_applications) and not diverged:
            last, x = x, T(x)
            steps += 1
            # Stacked: one copy from the device, and so one wait, an application.
            largest, moved = torch.stack([x.abs().max(), (x - last).abs().max()]).tolist()
            diverged = not largest <= DIVERGED  # true for NaN too
            if moved <= rounding * largest:
                break
        if diverged:
            return Stability(False, steps, math.inf, math.inf, math.nan)
        size = float(torch.linalg.vector_norm(equilibrium.state.double()))
        distance = float(torch.linalg.vector_norm((x - equilibrium.state).double())) / (size or 1.0)
    residual, score_after = float(residuals(T, x).max()), score(x)
    stays = residual <= LOST * table.tol and abs(score_after - score_before) <= SAME
    return Stability(stays, steps, residual, distance, score_after)
