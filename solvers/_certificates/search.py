"""Alternate forward and adjoint iterations until the certified gradient error is below a target."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from .._core.batch import norm, norms, ratio, rows
from .._core.certificate import Certificate
from .._core.maps import Loss, Map
from .._forward.anderson import Anderson
from .._forward.stagnation import NEAR, PROGRESS, Stagnated, StagnationGuard
from .equilibrium_watch import EquilibriumWatch, NearEnough
from .taped_gradient import GradientParts, TapedGradient

CRUDE = 0.1
"""Relative residual of the first adjoint solve, which only has to show how large the gradient is."""
EQUILIBRIUM_FRACTION = 0.5
"""Fraction of the target that the distance to the equilibrium may take; the rest is for the adjoint equation."""
LEAST = 0.1
"""The adjoint equation is not solved to less than this fraction of the target, however far the equilibrium is."""
CLAIMED = 0.97
"""Fraction of the residual that is allowed at which the recurrence stops: the measured one may be larger."""
ROUNDS = 3
"""Rounds without progress after which the search ends."""
UNRESOLVED = 1e-3
"""A watched approach that is not near enough goes on to this fraction of its tolerance, as kinks may be unresolved."""
ROUNDED = 10.0
"""A residual that stagnates within this many units of rounding is as small as it gets."""


class CertifiedSearch(TapedGradient):
    """A ``TapedGradient`` that moves x and improves u until its certificate meets a target.

    A Krylov space is continued between certificates as long as x stays, and is lost where x moves. So the equilibrium
    is approached first, until the derivative bounds predict a part of the error that is small enough. Then the adjoint
    equation is solved to the tolerance that is left.

    Attributes:
        target: the allowed error of the last measured gradient.
        certificates: the certificate, once ``settle`` has ended.
        rounded: whether the residual at x is at rounding, so that no approach comes nearer.
        stalled: whether the last ``settle`` ended because nothing made progress.
    """

    def __init__(
        self,
        T: Map,
        loss: Loss | None,
        goal: Callable[[GradientParts], float],
        tol: float,
        budget: int,
        x: Tensor,
    ) -> None:
        """Start at ``x``.

        Args:
            T, loss: the map, and the loss, without which ``settle`` cannot move x.
            goal: makes the target of a gradient.
            tol: relative residual of the adjoint equation if there is no certificate.
            budget: maximal number of applications and products together.
            x: the start.
        """
        super().__init__(T, loss, x)
        self.goal, self.tol, self.budget = goal, tol, budget
        self.target = 0.0
        self.certificates: list[Certificate] = []
        self.rounded = self.stalled = False

    def approach(self, tol: float, watched: Map | None = None) -> bool:
        """Move x towards the equilibrium, without a tape; return whether the relative residual has met ``tol``.

        ``watched`` is applied in place of T.
        """
        eps = torch.finfo(self.x.dtype).eps
        solver = Anderson(max(tol, eps), self._remaining)
        applied = watched or self.T
        # Far from rounding a slow residual is not stagnant; there the guard is not needed.
        T = StagnationGuard(applied, self.x) if tol < NEAR * eps else applied
        with torch.no_grad():
            try:
                point = solver(T, self.x)
            except Stagnated as stagnated:
                point = stagnated.point
                self.rounded = point.report.residual <= ROUNDED * eps
        self.x, self.forward = point.x, self.forward.combined_with(point.report)
        return bool(point.report.converged) and tol > eps

    def approach_watched(self, allowed: float, tol: float) -> None:
        """Approach until the distance can be expected to take at most ``allowed`` of the gradient; at most to ``tol``.

        Without derivative bounds or a loss, only to ``tol``.
        """
        if self.bounds is None or self.loss is None or not self.bounds.L < 1:
            self.approach(tol)
            return
        watched = EquilibriumWatch(self.T, self.loss, self.bounds, allowed)
        try:
            self.approach(UNRESOLVED * tol, watched)
        except NearEnough as near:
            self.x, self.forward = near.point.x, self.forward.combined_with(near.point.report)

    def settle(self) -> bool:
        """Improve until the target is met, the budget is spent, or nothing makes progress; return whether it is met."""
        if self.u is None:
            self.continue_adjoint(CRUDE * norm(self.v), self._remaining)
        bound = self._measured()
        if not bound.error < math.inf:
            self.solve_adjoint(self.tol, self._remaining)
            bound = self._measured()
        rounds = 0
        while self.target < bound.error < math.inf and self.spent < self.budget and rounds < ROUNDS:
            before = bound.error
            nearer, moved = self._approach_equilibrium(bound)
            left = max(self.target - nearer.equilibrium, LEAST * self.target)
            # Where ‖B‖ is 0, no residual of the adjoint equation makes an error.
            residual = CLAIMED * left / nearer.amplification if nearer.amplification else math.inf
            # If x has not moved, an adjoint equation that is solved well enough cannot help further.
            if not moved and (bound.adjoint == 0 or bound.adjoint <= residual * bound.amplification):
                break
            solved = self.continue_adjoint(residual, self._remaining)
            bound = self._measured()
            if not solved:
                break
            rounds = 0 if bound.error <= PROGRESS * before else rounds + 1
        return self.finish(bound, self.target)

    def finish(self, bound: Certificate, target: float) -> bool:
        """End with ``bound``; return whether its error is at most ``target``, and note it in the reports."""
        self.certificates[:] = [bound]
        met = bound.error <= target
        self.stalled = not met and bound.error < math.inf and self.spent < self.budget
        self.forward = dataclasses.replace(self.forward, converged=met)
        self.adjoint.append(dataclasses.replace(self.adjoint.pop(), converged=met))
        return met

    def continued_by(self, other: CertifiedSearch) -> None:
        """Count what another search has cost, which solves for what this one has missed."""
        self.forward = self.forward.combined_with(other.forward)
        missed = [dataclasses.replace(report, converged=None) for report in self.adjoint]
        self.adjoint = missed + other.adjoint
        self.recomputed += [1.0] * other.taped_applications + other.recomputed

    @property
    def _remaining(self) -> int:
        return max(1, self.budget - self.spent)

    def _measured(self) -> Certificate:
        self.measure()
        self.target = self.goal(self.gradient)
        assert self.a is not None
        return self.certificate(self.a)

    def _approach_equilibrium(self, bound: Certificate) -> tuple[Certificate, bool]:
        """Approach until the distance takes its fraction of the target; return the certificate, and whether x moved.

        The certificate supposes that the adjoint equation is solved (a = u − v), so that its part does not hide how
        much the distance still takes.
        """
        allowed, moved, rounds = EQUILIBRIUM_FRACTION * self.target, False, 0
        while self.loss is not None and bound.equilibrium > allowed and self.spent < self.budget:
            if rounds == ROUNDS or self.rounded:
                break
            before = bound.equilibrium
            x, y = rows(self.x), rows(self.tape.y.detach())
            residual = float(ratio(*norms(y - x, y)).max())
            # Near kinks the bound falls only as the square root of the distance, hence a power above 1.
            nearer = self.approach(residual * min(0.3, max(1e-3, (allowed / before) ** 1.5)))
            self.record()
            assert self.u is not None
            bound, moved = self.certificate(self.u - self.v), True
            if not nearer:
                break
            rounds = 0 if bound.equilibrium <= PROGRESS * before else rounds + 1
        return bound, moved
