"""Backward mode that checks the estimated error of the gradient at a nearer point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from .._adjoint.gmres import GMRES
from .._adjoint.warm_start import solve_from
from .._certificates.loss_curvature import as_multiple, loss_derivatives
from .._certificates.products import TapedMap, pullback, taped
from .._core.batch import from_rows, inners, norm, norms, ratio, rows, wide_rows
from .._core.maps import Loss, Map
from .._core.results import FixedPoint, Solution, SolveReport
from .._core.tape import LeafVersions, tape_ends
from .._forward.anderson import Anderson
from .modes import ImplicitDifferentiation, exchange_cotangent

SAME = 1e-6
"""Cotangents within this relative distance of a multiple of the known one count as that multiple."""
CHANGE = 0.5
"""Fraction of the tolerance by which the last move of the point may have changed the gradient."""
UNSEEN = 0.5
"""Fraction of the tolerance that the slow part of the error which the adjoint finds may have in the cotangent."""
TIGHTER = 4.0
"""Factor from one tolerance of the forward solve to the next, after a check that failed."""
ROUNDS = 6
"""Maximal number of times that the forward solve is continued."""


@dataclass(frozen=True, slots=True)
class EstimatedBackward:
    """Implicit differentiation that moves the point once the adjoint is known, and solves on until that changes little.

    The product that measures the residual of the adjoint is made at the point that the forward solver would have gone
    to next. So the residual contains what that move changed in v and in J, a kink that was crossed included; where it
    is above the tolerance, the adjoint is corrected there, and that changes the gradient. A change of more than
    ``CHANGE · rtol`` continues the forward solve, with a tolerance ``TIGHTER`` times smaller.

    The move does not see what is slower than all that the solver has met. The adjoint does: ``⟨u, T(x) − x⟩`` is to
    first order ``⟨v, x* − x⟩``, the change of the loss on the way to the equilibrium (the dual-weighted residual). So v
    changes on the way by what it does along v over that distance, at least; ``UNSEEN · rtol`` of it continues too.

    Neither is a bound. Without a loss, or without gradients, it is ``ImplicitDifferentiation``.

    Tape: one application. Cost: one application on a tape that is given up, beside the solves; all are counted.

    Attributes:
        forward: continues the forward solve.
        adjoint: the adjoint solver.
        rtol: relative error of the gradient.

    Source: dual-weighted residuals: Becker & Rannacher, *An optimal control approach to a posteriori error estimation*
    (2001).
    """

    transformable: ClassVar[bool] = False
    forward: Anderson
    adjoint: GMRES
    rtol: float

    def __call__(self, T: Map, point: FixedPoint, loss: Loss | None = None, /) -> Solution:
        if loss is None or point.ahead is None or not torch.is_grad_enabled():
            return ImplicitDifferentiation(self.adjoint)(T, point, loss)
        moving = _MovingAdjoint(T, loss, point.x)
        if not moving.leaves:  # no parameter that a gradient could be compared in
            return ImplicitDifferentiation(self.adjoint)(T, point, loss)
        moving.ahead = point.ahead
        with torch.no_grad():
            at = (
                self.adjoint(moving, moving.v)
                if point.adjoint is None
                else solve_from(point.adjoint, self.adjoint, moving)
            )
            report, reports, before = point.report, [at.report], moving.first
            forward, taped_again = self.forward, [1.0]
            for _ in range(ROUNDS):
                good = moving.changed_from(before) <= CHANGE * self.rtol and moving.unseen <= UNSEEN * self.rtol
                left = min(
                    self.forward.budget - report.applications, self.adjoint.budget - _total(reports)
                )
                if good or left < 1:
                    break
                before = moving.last
                forward = replace(forward, tol=forward.tol / TIGHTER, budget=left)
                nearer = forward.solve_for_loss(T, moving.tape.y.detach(), loss)
                report = report.combined_with(nearer.report)
                moving.record(nearer.x if nearer.ahead is None else nearer.ahead)
                taped_again.append(1.0)
                at = _refined(replace(self.adjoint, budget=left), moving, at)
                reports.append(at.report)
        u = at.x.detach()
        solve = _KnownAdjoint(moving.v, self.adjoint, moving, reports)
        y = exchange_cotangent(moving.tape.y, solve, moving.tape.y, moving.tape.x, u)
        return Solution(y, report, 1, reports, taped_again, adjoints=[u])


def _refined(adjoint: GMRES, moving: _MovingAdjoint, at: FixedPoint) -> FixedPoint:
    """Continue an adjoint solve at the present point, with the amplification that it has found."""
    u, y = wide_rows(at.x), wide_rows(moving(at.x))
    return adjoint.improve(moving, at.x, u, y, y - u, 1, at.report.amplification)


def _total(reports: Sequence[SolveReport]) -> int:
    return sum(report.applications for report in reports)


class _MovingAdjoint:
    """The adjoint operator of T at a point that moves once, to ``ahead``, before the first residual is measured.

    Attributes:
        ahead: where it moves; ``None`` if it has, or stays.
        first, last: the gradient of the first and of the last residual at the present point.
        unseen: the relative change of v that is found before the move.
    """

    inverse = None

    def __init__(self, T: Map, loss: Loss, x: Tensor) -> None:
        self._T, self._loss = T, loss
        self.ahead: Tensor | None = None
        self.unseen = 0.0
        self.record(x)

    def record(self, x: Tensor) -> None:
        """Tape T at x, and differentiate the loss at ``T(x)``."""
        self.tape: TapedMap = taped(self._T, x)
        self.leaves = tape_ends(self.tape.y, start=self.tape.x).leaves
        self.versions = LeafVersions(self.leaves)
        self.first: list[Tensor] = []
        self.last: list[Tensor] = []
        if self.leaves:
            derivatives = loss_derivatives(self._loss, self.tape.y)
            self.v, self._direct = derivatives.v, derivatives.direct

    def __call__(self, u: Tensor) -> Tensor:
        self.unseen = self._unseen(u)
        if self.ahead is not None:
            self.record(self.ahead)
            self.ahead = None
        Ju, *parts = pullback(self.tape, self.leaves, u)
        self.last = [
            part + self._direct[id(leaf)].view_as(part) if id(leaf) in self._direct else part
            for part, leaf in zip(parts, self.leaves, strict=True)
        ]
        self.first = self.first or self.last
        return self.v + Ju

    def linear(self, u: Tensor) -> Tensor:
        return pullback(self.tape, (), u)[0]

    def changed_from(self, before: Sequence[Tensor]) -> float:
        """The relative change of the gradient from ``before`` to the last."""
        change = torch.stack([norms(rows((a - b).flatten()))[0] for a, b in zip(self.last, before, strict=True)])
        size = torch.stack([norms(rows(a.flatten()))[0] for a in self.last])
        return float(ratio(change.norm(), size.norm()))

    def _unseen(self, u: Tensor) -> float:
        x, y, v = (rows(a.detach()) for a in (self.tape.x, self.tape.y, self.v))
        length = inners(rows(u), y - x) / norms(v)[0].square()
        length = torch.where(length.isfinite(), length, 0)
        shifted = from_rows(y + length.to(y)[:, None] * v, self.v)
        change = rows(loss_derivatives(self._loss, shifted).v) - v
        return float(ratio(*norms(change, v)).max())


@dataclass(frozen=True, slots=True)
class _KnownAdjoint:
    """Exchanges the cotangent of the loss that was given for its adjoint, and any other for one that it solves for."""

    known_v: Tensor
    adjoint: GMRES
    moving: _MovingAdjoint
    reports: list[SolveReport]

    def __call__(self, v: Tensor, y: Tensor, x: Tensor, u: Tensor) -> Tensor:
        self.moving.versions.check()
        multiple = as_multiple(v, self.known_v)
        if multiple.within(SAME):
            return multiple.factor * u
        from .._adjoint.adjoint_map import TapedAdjoint

        at = self.adjoint(TapedAdjoint(x, y, v, None), v)
        self.reports.append(at.report)
        return at.x
