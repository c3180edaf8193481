"""Operators that say too little of their derivatives, or step too far: each of which some claim must turn red."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from bench.operators import ForwardBackward
from bench.operators.regularity import ShrinkageRegularity
from solvers import Change

from .mutation import Mutant

CHANGE = ShrinkageRegularity.change


def _divided(by: float) -> Any:
    def change(self: ShrinkageRegularity, x: Tensor, u: Tensor, radius: float) -> Change:
        found = CHANGE(self, x, u, radius)
        return dataclasses.replace(found, J=found.J / by, B=found.B / by)

    return change


def _without_sigma(self: ShrinkageRegularity, x: Tensor, u: Tensor, radius: float) -> Change:
    """The ball of the coefficients drawn as if σ were 1."""
    return CHANGE(self, x, u, radius / self.sigma)


def _jump_alone(self: ShrinkageRegularity, x: Tensor, u: Tensor, radius: float) -> Change:
    """At a kink ``s t/σ``, without what moves beside it."""
    found = CHANGE(self, x, u, radius)
    with torch.no_grad():
        size = self._magnitude(self.prior.argument(*self.operator.descend(x, self.data)))
        d = self.L * self.sigma * radius
        near = (size - self.kink).abs() <= d
        cotangent = self._magnitude(self.prior.analyse(u))
        extra = (
            torch.where(near, (self.s * (self.t + d)).minimum(2 * self.t) - self.s * self.t, 0) / self.sigma
        )
        full = torch.where(near, (self.s * (self.t + d)).minimum(2 * self.t), 0) / self.sigma
        moved, most = (float((part * cotangent).sum()) for part in (extra, full))
    return dataclasses.replace(found, B=found.B * (1 - moved / most) if most else found.B)


def _curved_at_the_centre(self: ShrinkageRegularity, x: Tensor, u: Tensor, radius: float) -> Change:
    """``(2/√3) t d/(σρ²)``, with the norm at the centre of the ball for ρ."""
    found = CHANGE(self, x, u, radius)
    with torch.no_grad():
        size = self._magnitude(self.prior.argument(*self.operator.descend(x, self.data)))
        cotangent = self._magnitude(self.prior.analyse(u))
        d = self.L * self.sigma * radius
        near = (size - self.kink).abs() <= d
        tiny = torch.finfo(size.dtype).tiny
        curved = (2 / 3**0.5 * self.t * d / size.clamp_min(tiny).square()).minimum(self.s)
        grouped = self.prior.groups.orientations or self.prior.groups.colours
        parts = torch.where(near, self.s, torch.where(size > self.kink, curved if grouped else 0 * size, 0))
        inflow = self.L * float((parts * cotangent).square().sum().div(self.prior.groups.copies).sqrt())
    return dataclasses.replace(found, J=min(found.J, inflow))


def _size_at_the_centre(self: ShrinkageRegularity, x: Tensor, u: Tensor, radius: float) -> Change:
    return dataclasses.replace(CHANGE(self, x, u, radius), size=CHANGE(self, x, u, 0.0).size)


def _whole_step(self: ForwardBackward) -> Tensor:
    return self.log_step.exp()


def _told(name: str, change: Any) -> Mutant:
    return Mutant(name, ((ShrinkageRegularity, "change", change),), ("real C13",))


MUTANTS: tuple[Mutant, ...] = (
    _told("a third of every change of the derivatives", _divided(3)),
    _told("the ball of the coefficients without σ", _without_sigma),
    _told("a jump without what moves beside it", _jump_alone),
    _told("the curvature at the centre of the ball", _curved_at_the_centre),
    _told("‖B‖ at the centre of the ball", _size_at_the_centre),
    Mutant("a step that is not over ‖S‖²", ((ForwardBackward, "step", _whole_step),), ("C9",)),
)
