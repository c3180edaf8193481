"""Mutants of the benchmark's operators: derivative bounds that are too small, and a step that is too long."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from bench.operators import ForwardBackward
from bench.penalties.shrinkage_bounds import ShrinkageBounds
from solvers import DerivativeChange

from ..engine import Mutant, mutant

CHANGE = ShrinkageBounds.change


def _divided(by: float) -> Any:
    def change(self: ShrinkageBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        right = CHANGE(self, x, u, radius)
        return dataclasses.replace(right, J=right.J / by, B=right.B / by)

    return change


def _without_sigma(self: ShrinkageBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
    """The radius of the ball of coefficients, computed as if σ were 1."""
    return CHANGE(self, x, u, radius / self.sigma)


def _jump_alone(self: ShrinkageBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
    """At a kink only the jump ``s t/σ``, without the change beside it."""
    right = CHANGE(self, x, u, radius)
    with torch.no_grad():
        size = self.prior.magnitude(self.prior.argument(*self.operator.prox_argument(x, self.data)))
        d = self.L * self.sigma * radius
        near = (size - self.kink).abs() <= d
        cotangent = self.prior.magnitude(self.prior.analyse(u))
        extra = (
            torch.where(near, (self.s * (self.t + d)).minimum(2 * self.t) - self.s * self.t, 0) / self.sigma
        )
        full = torch.where(near, (self.s * (self.t + d)).minimum(2 * self.t), 0) / self.sigma
        moved, most = (float((part * cotangent).sum()) for part in (extra, full))
    return dataclasses.replace(right, B=right.B * (1 - moved / most) if most else right.B)


def _curved_at_the_centre(self: ShrinkageBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
    """The curvature ``(2/√3) t d/(σρ²)`` with ρ at the centre of the ball, where it must be at its edge."""
    right = CHANGE(self, x, u, radius)
    with torch.no_grad():
        size = self.prior.magnitude(self.prior.argument(*self.operator.prox_argument(x, self.data)))
        cotangent = self.prior.magnitude(self.prior.analyse(u))
        d = self.L * self.sigma * radius
        near = (size - self.kink).abs() <= d
        tiny = torch.finfo(size.dtype).tiny
        curved = (2 / 3**0.5 * self.t * d / size.clamp_min(tiny).square()).minimum(self.s)
        grouped = self.prior.groups.orientations or self.prior.groups.colours
        parts = torch.where(near, self.s, torch.where(size > self.kink, curved if grouped else 0 * size, 0))
        copies = self.prior.groups.copies(self.prior.orientations)
        inflow = self.L * float((parts * cotangent).square().sum().div(copies).sqrt())
    return dataclasses.replace(right, J=min(right.J, inflow))


def _size_at_the_centre(self: ShrinkageBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
    return dataclasses.replace(CHANGE(self, x, u, radius), size=CHANGE(self, x, u, 0.0).size)


def _whole_step(self: ForwardBackward) -> Tensor:
    return self.log_step.exp()


def _bounds_mutant(name: str, change: Any) -> Mutant:
    return Mutant(name, ((ShrinkageBounds, "change", change),), ("real C13",))


OPERATOR_MUTANTS: tuple[Mutant, ...] = (
    _bounds_mutant("a third of every change of the derivatives", _divided(3)),
    _bounds_mutant("the ball of the coefficients without σ", _without_sigma),
    _bounds_mutant("a jump without what moves beside it", _jump_alone),
    _bounds_mutant("the curvature at the centre of the ball", _curved_at_the_centre),
    _bounds_mutant("‖B‖ at the centre of the ball", _size_at_the_centre),
    mutant("a step that is not over ‖S‖²", ForwardBackward, "step", _whole_step, "C9"),
)
