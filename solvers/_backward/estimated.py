"""Backward mode that checks the estimated error of the gradient at a nearer point."""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, TypeAlias

import torch
from torch import Tensor

from .._adjoint.adjoint_map import SelectableTapedAdjoint, TapedAdjoint, taped_adjoint
from .._adjoint.cg import CG
from .._adjoint.gmres import GMRES
from .._adjoint.warm_start import solve_from
from .._certificates.loss_curvature import as_multiple, loss_derivatives
from .._certificates.products import TapedMap, pullback, taped
from .._core.batch import from_rows, inners, norm, norms, ratio, wide_rows
from .._core.maps import Loss, Map, SupportsSelect
from .._core.results import FixedPoint, Solution, SolveReport
from .._core.tape import LeafVersions, tape_ends
from .modes import ImplicitDifferentiation, exchange_cotangent

SAME = 1e-6
"""Cotangents within this relative distance of a multiple of the known one count as that multiple."""
CHANGE = 1 / 3
"""Fraction of the tolerance by which the last move of the point may change the gradient."""
UNSEEN = 1 / 3
"""Fraction of the tolerance by which the cotangent may change along itself on the way to the equilibrium."""
TIGHTER = 4.0
"""Factor from one tolerance of the forward solve to the next, after a check that failed."""
ROUNDS = 6
"""Maximal number of times that the forward solve is continued."""


class ErrorForward(Protocol):
    """A forward solver with a tolerance on the estimated error, whose points have ``ahead`` and ``resume``."""

    @property
    def tol(self) -> float: ...
    @property
    def budget(self) -> int: ...


ErrorAdjoint: TypeAlias = GMRES | CG
"""Adjoint solvers that can stop on the estimated error."""


@dataclass(frozen=True, slots=True)
class EstimatedBackward:
    """Implicit differentiation that moves the point once it knows the adjoint, and solves on until that changes little.

    The residual of the adjoint is measured at the point that the forward solver would have gone to next. So it contains
    what that move changed in v and in J, a kink that was crossed included. Where it is above the tolerance, the adjoint
    is corrected there, and that changes the gradient. A change of more than ``CHANGE · rtol`` continues the forward
    solve, to a tolerance ``TIGHTER`` times smaller.

    Such a move misses components of the error that are slower than all that the forward solver has met. The adjoint
    does not: ``⟨u, T(x) − x⟩`` is ``⟨v, x* − x⟩`` to first order, the change of the loss on the way to the equilibrium.
    So v changes at least by what it changes along itself over that distance. More than ``UNSEEN · rtol`` of it
    continues the forward solve as well.

    Both are estimates. A kink between the last point and the equilibrium is still not seen. Without a loss, without
    gradients, or for a T without parameters, this is ``ImplicitDifferentiation``.

    Tape: one application. Cost: that of the solves, and one application more; if the forward solve is continued, one
    application and at least one product more each time.

    Attributes:
        forward: the forward solver, of which the tolerance and the budget are read.
        adjoint: the adjoint solver.
        rtol: relative error of the gradient.

    Raises:
        RuntimeError: in the backward pass, a parameter of T was changed in place after the solve.

    Source: dual-weighted residuals, Becker & Rannacher, *An optimal control approach to a posteriori error estimation
    in finite element methods* (2001).
    """

    transformable: ClassVar[bool] = False
    forward: ErrorForward
    adjoint: ErrorAdjoint
    rtol: float

    def __call__(self, T: Map, point: FixedPoint, loss: Loss | None = None, /) -> Solution:
        plain = ImplicitDifferentiation(self.adjoint)
        if point.ahead is None or not point.x.numel():
            return plain(T, point, loss)
        there = replace(point, x=point.ahead)
        if loss is None or not torch.is_grad_enabled():
            return plain(T, there, loss)
        again: list[float] = [1.0]
        kind = _SelectableMovingAdjoint if isinstance(T, SupportsSelect) else _MovingAdjoint
        moving = kind(T, loss, point.x, again)
        if not moving.leaves:
            return plain(T, there, loss)
        moving.ahead = point.ahead
        report, reports = point.report, list[SolveReport]()
        with torch.no_grad():
            if point.adjoint is None:
                at = self.adjoint(moving, moving.v)
            else:
                at = solve_from(point.adjoint, self.adjoint, moving)
            reports.append(at.report)
            tol, nearer, before = self.forward.tol, point, moving.first
            for _ in range(ROUNDS):
                left = min(
                    self.forward.budget - report.applications, self.adjoint.budget - _products(reports)
                )
                if left < 1 or nearer.resume is None or self._accurate(moving, before):
                    break
                before = moving.last
                tol = tol / TIGHTER
                nearer = nearer.resume(moving.tape.y.detach(), tol, left)
                report = report.combined_with(nearer.report)
                moving.record(nearer.x if nearer.ahead is None else nearer.ahead)
                again.append(1.0)
                at = _refined(replace(self.adjoint, budget=left), moving, at)
                reports.append(at.report)
            accurate = self._accurate(moving, before)
        report = replace(report, converged=bool(report.converged) and accurate)
        u, tape = at.x.detach(), moving.tape
        solve = _KnownAdjoint(T, moving.versions, self.adjoint, reports, again)
        y = exchange_cotangent(tape.y, solve, tape.y, tape.x, u, moving.v)
        return Solution(y, report, 1, reports, again, adjoints=[u])

    def _accurate(self, moving: _MovingAdjoint, before: Sequence[Tensor]) -> bool:
        changed = moving.changed_from(before) <= CHANGE * self.rtol
        return changed and moving.unseen <= UNSEEN * self.rtol


def _products(reports: Sequence[SolveReport]) -> int:
    return sum(report.applications for report in reports)


def _refined(adjoint: ErrorAdjoint, moving: _MovingAdjoint, at: FixedPoint) -> FixedPoint:
    """Continue an adjoint solve at the present point, with the amplification that it has found."""
    u, y = wide_rows(at.x), wide_rows(moving(at.x))
    return adjoint.improve(moving, at.x, u, y, y - u, 1, at.report.amplification)


class _MovingAdjoint:
    """The adjoint operator of T at a point that moves to ``ahead`` before the first residual is measured.

    Attributes:
        ahead: where it moves; ``None`` if it stays.
        tape: T at the present point.
        leaves, versions: the parameters on that tape, and their versions.
        v: the cotangent of the loss at ``T(x)``.
        first, last: the gradient at the first and at the last residual that was measured at the present point.
        unseen: the relative change of v along itself, before the move.
    """

    inverse = None

    def __init__(self, T: Map, loss: Loss, x: Tensor, recomputed: list[float]) -> None:
        self._T, self._loss, self._recomputed = T, loss, recomputed
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
        derivatives = loss_derivatives(self._loss, self.tape.y.detach())
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

    def still(self) -> TapedAdjoint:
        """Return the adjoint operator at the present point."""
        tape = self.tape
        return taped_adjoint(self._T, tape.x, tape.y, self.v, None, self._recomputed, self.versions)

    def changed_from(self, before: Sequence[Tensor]) -> float:
        """Return the relative change of the gradient from ``before`` to the last."""
        change = math.hypot(*(norm(a - b) for a, b in zip(self.last, before, strict=True)))
        return change / (math.hypot(*map(norm, self.last)) or 1.0)

    def _unseen(self, u: Tensor) -> float:
        """Return the largest relative change of v over the samples, along v by ``⟨u, T(x) − x⟩/‖v‖²``."""
        x, y, v = (wide_rows(a.detach()) for a in (self.tape.x, self.tape.y, self.v))
        size = norms(v)[0]
        length = inners(wide_rows(u), y - x) / size / size
        length = torch.where(length.isfinite(), length, 0)
        shifted = from_rows(y + length.to(y)[:, None] * v, self.v)
        return float(ratio(*norms(wide_rows(loss_derivatives(self._loss, shifted).v) - v, v)).max())


class _SelectableMovingAdjoint(_MovingAdjoint):
    """The same for a map with ``select``: samples that have ended are skipped."""

    def select(self, index: Tensor) -> Map:
        """Return the adjoint operator of the samples at ``index`` alone, at the present point."""
        still = self.still()
        assert isinstance(still, SelectableTapedAdjoint)
        return still.select(index)


@dataclass(frozen=True, slots=True)
class _KnownAdjoint:
    """Exchanges the cotangent of the loss that was given for its adjoint, and any other for one that it solves for."""

    T: Map
    versions: LeafVersions
    adjoint: ErrorAdjoint
    reports: list[SolveReport]
    recomputed: list[float]

    def __call__(self, v: Tensor, y: Tensor, x: Tensor, u: Tensor, known_v: Tensor) -> Tensor:
        self.versions.check()
        multiple = as_multiple(v, known_v)
        if multiple.within(SAME):
            return multiple.factor * u
        at = self.adjoint(taped_adjoint(self.T, x, y, v, None, self.recomputed, self.versions), v)
        self.reports.append(at.report)
        return at.x
