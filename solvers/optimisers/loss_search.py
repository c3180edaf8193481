"""A point that moves to the equilibrium until the enclosure of its loss is narrow enough."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._certificates.derivative_bounds import Smooth
from .._certificates.loss_curvature import loss_curvature
from .._certificates.loss_enclosure import LossEnclosure, loss_enclosure
from .._certificates.search import CertifiedSearch
from .._certificates.tape_recorder import TapedApplication
from .._certificates.taped_gradient import GradientParts
from .._core.batch import norm, norms, ratio, rows
from .objective import BilevelObjective

ORDER = 1.5
"""The radius of an enclosure falls as this power of the residual: near kinks ΔJ falls as its root."""
ROUNDS = 4
"""Approaches in a row that may leave the radius as it is."""


@dataclass(frozen=True, slots=True)
class EnclosedPoint:
    """θ with its loss enclosed, and what continues the search there.

    Attributes:
        theta, gradient: vectors ``(parameters,)``.
        x, u: the point and its adjoint.
        residual: relative residual of x.
        loss: ℓ at ``T(x)``.
        enclosure: of F(θ).
        met: whether the radius met what was asked for.
    """

    theta: Tensor
    gradient: Tensor
    x: Tensor
    u: Tensor
    residual: float
    loss: float
    enclosure: LossEnclosure
    met: bool

    @property
    def scale(self) -> float:
        """The radius over the residual to the power ``ORDER``, from which the residual of another point is guessed."""
        return self.enclosure.radius / (self.residual**ORDER or math.inf)


@dataclass(frozen=True, slots=True)
class Wish:
    """How good a point should be.

    Attributes:
        radius: of its enclosure.
        adjoint: relative residual of its adjoint equation, ``‖ϱ‖/‖u‖``.
        budget: limit of applications and products.
    """

    radius: float
    adjoint: float
    budget: int


def search(
    objective: BilevelObjective, theta: Tensor, x: Tensor, u: Tensor | None, tol: float, wish: Wish
) -> tuple[EnclosedPoint, int]:
    """Move to θ, improve x and u until the wish is met, the budget spent or nothing makes progress.

    Args:
        objective: F.
        theta: θ.
        x, u: start of the forward and of the adjoint solve; ``None`` for no adjoint.
        tol: relative residual of the first approach; 0 to begin at x itself.
        wish: what to reach.

    Returns:
        The point, and the number of applications and products.
    """
    objective.move(theta)
    found = _LossSearch(objective, x, u, wish)
    if tol:
        found.approach(tol)
    point = found.improved(theta, wish)
    return point, found.spent


class _LossSearch(CertifiedSearch):
    def __init__(self, objective: BilevelObjective, x: Tensor, u: Tensor | None, wish: Wish) -> None:
        super().__init__(objective.map(), objective.loss, _no_goal, wish.adjoint, wish.budget, x)
        self.objective, self.u = objective, u
        self.parameters = objective.parameters

    def improved(self, theta: Tensor, wish: Wish) -> EnclosedPoint:
        self._tape_and_measure()
        rounds, before = 0, math.inf
        while True:
            if self.spent < self.budget and self._improve_adjoint() and self.spent < self.budget:
                continue
            enclosure = self._enclosure()
            radius = enclosure.radius
            rounds, before = (0 if radius <= 0.9 * before else rounds + 1), radius
            met = radius <= wish.radius
            if met or self.spent >= self.budget or rounds == ROUNDS or self.rounded:
                return self._point(theta, enclosure, met)
            share = 0.7 * (wish.radius / radius) ** (1 / ORDER) if radius < math.inf else 0.1
            self.approach(self._residual * min(0.5, max(1e-3, share)))
            self._tape_and_measure()

    @property
    def _a(self) -> Tensor:
        assert self.a is not None
        return self.a

    @property
    def _residual(self) -> float:
        x, y = rows(self.tape.x.detach()), rows(self.tape.y.detach())
        return float(ratio(*norms(y - x, y)).max())

    def _tape_and_measure(self) -> None:
        self.record()
        if self.u is None:
            self.u = self.v
        self.measure()

    def _improve_adjoint(self) -> bool:
        """Solve the adjoint equation to ``tol`` if it is not yet; return whether u has changed."""
        u = self.u
        assert u is not None
        if norm(self.v + self._a - u) <= self.tol * norm(u):
            return False
        # GMRES measures against ‖v + Jᵀu‖, which is ‖u‖ up to the residual.
        self.solve_adjoint(0.9 * self.tol, self._remaining)
        self.measure()
        return True

    def _enclosure(self) -> LossEnclosure:
        assert self.u is not None
        x, y = self.tape.x.detach(), self.tape.y.detach()
        loss = self.objective.loss
        curvature = loss_curvature(loss, y, self.loss_derivatives, y - x)
        application = TapedApplication(
            x, y, self.u, self._a, leaves=tuple(self.leaves), versions=self.versions, rounding=self._rounding
        )
        with torch.no_grad():
            value = float(loss(y))
        if self.bounds is None:
            return LossEnclosure(value, math.inf, math.inf, math.inf, why="T states no derivative bounds")
        why = curvature.why if isinstance(loss, Smooth) else "the constants of the loss are estimates"
        return loss_enclosure([application], y, value, self.v, self.bounds, curvature.smoothness, why)

    def _point(self, theta: Tensor, enclosure: LossEnclosure, met: bool) -> EnclosedPoint:
        assert self.u is not None
        parts = self.gradient.parts
        gradient = torch.cat(
            [parts[id(p)] if id(p) in parts else p.new_zeros(p.numel()) for p in self.objective.parameters]
        )
        with torch.no_grad():
            loss = float(self.objective.loss(self.tape.y.detach()))
        # T(x) is nearer than x, and as good a start.
        return EnclosedPoint(
            theta, gradient, self.tape.y.detach(), self.u, self._residual, loss, enclosure, met
        )


def _no_goal(gradient: GradientParts) -> float:
    return 0.0
