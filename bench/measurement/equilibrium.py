"""The equilibrium of a learned operator: where it is, how well it is known, and whether plain iteration stays there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Anderson, Map

from ..config.profile_schema import EquilibriumTable
from .past_depth import WILD, PastDepthCurve

LOST = 10
"""A residual beyond this many tolerances is that of no equilibrium: images from there mean nothing."""
SAME = 0.1
"""Images that differ by no more, in dB of their PSNR, are as good as each other."""


@dataclass(frozen=True, slots=True)
class LearnedEquilibrium:
    """Where an operator settled.

    Attributes:
        state: the point.
        residual: ``‖T(x) − x‖ / ‖T(x)‖`` there, the largest over the samples.
        applications: what Anderson acceleration took.
        by: what found it.
        converged: whether the residual met the tolerance.
    """

    state: Tensor
    residual: float
    applications: int
    by: str
    converged: bool


@dataclass(frozen=True, slots=True)
class Stability:
    """What became of an equilibrium under plain iteration.

    Attributes:
        stays: whether the residual is one of an equilibrium still, and the images are as good as before.
        steps: applications that were made; fewer than asked for where nothing moved any more, or all had diverged.
        residual: after them, the largest over the samples; infinite where they diverged.
        distance: from the equilibrium, relative to it.
        score: of where they ended; nan where they diverged.
    """

    stays: bool
    steps: int
    residual: float
    distance: float
    score: float


def residuals(T: Map, x: Tensor) -> Tensor:
    """``‖T(x) − x‖ / ‖T(x)‖`` of each sample, float64 on the CPU; infinite where it is no number."""
    with torch.no_grad():
        y = T(x).double()
        gap = torch.linalg.vector_norm((y - x.double()).flatten(1), dim=1)
        size = torch.linalg.vector_norm(y.flatten(1), dim=1)
    # A state that T leaves at 0 has settled.
    return torch.where(gap == 0, 0.0, gap / size).nan_to_num(torch.inf, torch.inf).cpu()


def settle(
    T: Map, start: Tensor, table: EquilibriumTable, past: PastDepthCurve | None = None
) -> LearnedEquilibrium:
    """The equilibrium that Anderson acceleration finds, or else the better of where it and plain iteration ended.

    Args:
        T, start: what is iterated, and from where.
        table: tolerance and budget.
        past: a plain iteration, where there is one.
    """
    with torch.no_grad():
        found = Anderson(table.tol, table.budget)(T, start)
    residual = float(residuals(T, found.x).max())
    state, by = found.x, "Anderson acceleration"
    if residual > table.tol and past is not None and past.state is not None:
        # Where T is no contraction, one of the two may find an equilibrium and the other none.
        other = float(residuals(T, past.state).max())
        if other < residual:
            state, residual, by = past.state, other, "plain iteration"
    return LearnedEquilibrium(state, residual, found.report.applications, by, residual <= table.tol)


def stay(
    T: Map, settled: LearnedEquilibrium, score: Callable[[Tensor], float], table: EquilibriumTable
) -> Stability:
    """Plain iterations from an equilibrium: at most ``table.budget`` and ``table.max_applications``.

    Acceleration finds equilibria that plain iteration leaves; the iteration that was trained, and every figure of its
    depth, is the plain one.

    Args:
        T: the map.
        settled: from where.
        score: of a state in dB, higher is better.
        table: tolerance, and applications.
    """
    x, before = settled.state, score(settled.state)
    rounding = 10 * torch.finfo(x.dtype).eps
    done, wild = 0, False
    with torch.no_grad():
        while done < min(table.budget, table.max_applications) and not wild:
            last, x = x, T(x)
            done += 1
            # One copy from the device.
            largest, moved = torch.stack([x.abs().max(), (x - last).abs().max()]).tolist()
            wild = not largest <= WILD
            if moved <= rounding * largest:
                break
        if wild:
            return Stability(False, done, float("inf"), float("inf"), float("nan"))
        size = float(torch.linalg.vector_norm(settled.state.double()))
        distance = float(torch.linalg.vector_norm((x - settled.state).double())) / (size or 1.0)
    residual, after = float(residuals(T, x).max()), score(x)
    stays = residual <= LOST * table.tol and abs(after - before) <= SAME
    return Stability(stays, done, residual, distance, after)
