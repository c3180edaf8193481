"""A solve that knows what it is for: it goes on, forward or backward, until a certificate says that it is enough."""

# Tensor.split carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._adjoint.adjoint_map import TapedAdjoint
from .._adjoint.gmres import GMRES
from .._core.batch import norm, norms, ratio, rows
from .._core.certificate import Certificate
from .._core.maps import Loss, Map
from .._core.results import SolveReport
from .._core.tape import Versions, ends
from .._forward.anderson import Anderson
from .._forward.stagnation import NEAR, PROGRESS, Stalled, Stalling
from .bound import certificate, none
from .derivative_bounds import DerivativeBounds, HasDerivativeBounds, states_rounding
from .estimated_bounds import CountedProducts, EstimatedBounds, probe
from .loss_curvature import LossDerivatives, assumed, loss_curvature, slope
from .products import TapedMap, taped
from .rounding import DRAWS, Rounding, shake
from .tape_recorder import TapedApplication

CRUDE = 0.1
"""Residual of the first adjoint solve, which only has to tell how large the gradient is."""
SHARE = 0.5
"""What the distance to the equilibrium may cost, of all that is allowed; the rest is the adjoint equation's."""
LEAST = 0.1
"""The adjoint equation is solved to no less than this share of what is allowed, however far the equilibrium."""
ROUNDS = 3
"""Rounds without progress after which nothing will get further."""
ROUNDED = 10.0
"""A residual held up within this many units of the rounding of its dtype is as small as it gets."""


@dataclass(frozen=True, slots=True)
class CertifiedGradient:
    """A gradient in parts: one for each leaf, by its identity, in a row."""

    parts: dict[int, Tensor]

    @property
    def size(self) -> float:
        """Its norm."""
        return math.hypot(*map(norm, self.parts.values()))


class CertifiedSearch:
    """Where such a solve stands: a point, the tape of T there, a cotangent, and its adjoint.

    Attributes:
        x: the point, without a tape.
        on: ``T(x)`` on a tape; ``None`` before there is one, and after ``leave``.
        v, u, a: the cotangent, its adjoint as far as it is known, and ``Jᵀu`` if u was measured at this tape.
        leaves, versions: what the gradient is in, and as it was.
        only: the leaves that are asked about; ``None`` for all of the tape.
        learns: whether T at the point depends on anything to learn.
        gradient: ``h + B(x)ᵀu`` when it was measured last.
        allowed: the error that its certificate may have.
        reached: all approaches so far, as one.
        solves: one report for each adjoint solve, and for each product besides.
        recomputed: a 1 for every application on a tape but the first.
        found: the certificate, once there is one.
        rounded: whether the residual of x is as small as its dtype lets it be: no approach gets nearer.
        stalled: whether the last ``settle`` ended since nothing got further.
    """

    def __init__(
        self,
        T: Map,
        loss: Loss | None,
        goal: Callable[[CertifiedGradient], float],
        tol: float,
        budget: int,
        x: Tensor,
    ) -> None:
        """Stand at ``x``.

        Args:
            T, loss: of what; without a loss, ``settle`` has to do with the point as it is.
            goal: the error that a gradient may have.
            tol: residual of the adjoint equation to reach where there can be no certificate.
            budget: applications and products at most.
            x: where to start.
        """
        self.T, self.loss, self.goal, self.tol, self.budget = T, loss, goal, tol, budget
        self.known = T.regularity() if isinstance(T, HasDerivativeBounds) else None
        self.x = self.v = x
        self.on: TapedMap | None = None
        self.u: Tensor | None = None
        self.a: Tensor | None = None
        self.here = LossDerivatives(x, {})
        self.only: Sequence[Tensor] | None = None
        self.leaves: list[Tensor] = []
        self.learns = False
        self.versions = Versions(())
        self.rounding: Rounding | None = None
        self.lipschitz = self.parametric = 0.0
        self.gradient, self.allowed = CertifiedGradient({}), 0.0
        self.forward, self.taped_applications = SolveReport(0), 0
        self.solves: list[SolveReport] = []
        self.recomputed: list[float] = []
        self.found: list[Certificate] = []
        self.rounded = self.stalled = False

    @property
    def spent(self) -> int:
        """Applications and products so far."""
        made = sum(solve.applications for solve in self.solves)
        return self.forward.applications + self.taped_applications + len(self.recomputed) + made

    @property
    def tape(self) -> TapedMap:
        """That of T at the point."""
        assert self.on is not None, "T has not been taped"
        return self.on

    def approach(self, tol: float) -> bool:
        """Go on towards the equilibrium, without a tape; whether the residual has got there."""
        floor = torch.finfo(self.x.dtype).eps
        policy = Anderson(max(tol, floor), max(1, self.budget - self.spent))
        # Only near the rounding of the dtype may it hold the residual up.
        T = Stalling(self.T, self.x) if tol < NEAR * floor else self.T
        with torch.no_grad():
            try:
                found = policy(T, self.x)
            except Stalled as stalled:
                found = stalled.at
                self.rounded = found.report.residual <= ROUNDED * floor
        self.x, self.forward = found.x, self.forward.combined_with(found.report)
        return bool(found.report.converged) and tol > floor

    def stand(self) -> None:
        """Apply T on a tape, where the last approach ended."""
        if self.taped_applications:
            self.recomputed.append(1)
        self.taped_applications, self.a, self.on = 1, None, None  # one tape at a time
        self.on = taped(self.T, self.x)
        if self.loss is not None and self.on.y.requires_grad:
            self.here = slope(self.loss, self.on.y)
            self.v = self.here.v
        there = ends(self.on.y, start=self.on.x)
        self.learns = there.learns
        self.leaves = [leaf for leaf in there.leaves if self._asked(id(leaf))]
        self.versions = Versions(self.leaves)

    def settle(self) -> bool:
        """Go on until the error is allowed, the budget is spent, or nothing gets further; whether it is allowed."""
        if self.u is None:
            self.u = self.v
            self._solve(CRUDE)
        found = self._measure()
        if not found.error < math.inf:
            self._solve(self.tol)
            found = self._measure()
        rounds = 0
        while found.error < math.inf and found.error > self.allowed and self.spent < self.budget:
            if rounds == ROUNDS:
                break
            before = found.error
            near, moved = self._come_near(found)
            left = max(self.allowed - near.equilibrium, LEAST * self.allowed)
            residual = 0.9 * left / near.amplification
            # Where the point has moved, the adjoint equation is another one.
            if not moved and found.adjoint <= residual * found.amplification:
                break
            solved = self._solve(residual / (norm(self.u) or 1))
            found = self._measure()
            if not solved:
                break
            rounds = 0 if found.error <= PROGRESS * before else rounds + 1
        self.found[:] = [found]
        met = found.error <= self.allowed
        self.stalled = not met and found.error < math.inf and self.spent < self.budget
        self.forward = dataclasses.replace(self.forward, converged=met)
        self.solves.append(dataclasses.replace(self.solves.pop(), converged=met))
        return met

    def leave(self) -> None:
        """Let go of the tape and of all that is as large as x."""
        empty = self.x.new_empty(0)
        self.on = self.u = self.a = None
        self.v, self.x, self.here, self.gradient = (
            empty,
            empty,
            LossDerivatives(empty, {}),
            CertifiedGradient({}),
        )

    def _come_near(self, found: Certificate) -> tuple[Certificate, bool]:
        """Approach until the distance to the equilibrium costs its share; the certificate then, and whether x moved."""
        allowed, moved, rounds = SHARE * self.allowed, False, 0
        while self.loss is not None and found.equilibrium > allowed and self.spent < self.budget:
            if rounds == ROUNDS or self.rounded:
                break
            before = found.equilibrium
            x, y = rows(self.x), rows(self.tape.y.detach())
            gap = float(ratio(*norms(y - x, y)).max())
            # Where kinks are near, their part falls as the square root of the distance.
            nearer = self.approach(gap * min(0.3, max(1e-3, (allowed / before) ** 1.5)))
            self.stand()
            assert self.u is not None
            # As if the adjoint equation were solved.
            found, moved = self._certificate(self.u - self.v), True
            if not nearer:
                break
            rounds = 0 if found.equilibrium <= PROGRESS * before else rounds + 1
        return found, moved

    def _solve(self, tol: float) -> bool:
        """Solve the adjoint equation at the tape; whether the residual has got there."""
        assert self.u is not None
        floor = torch.finfo(self.v.dtype).eps
        solve = GMRES(max(tol, floor), max(1, self.budget - self.spent))
        kind = _Seen if self.known is None else TapedAdjoint
        T = kind(self.tape.x, self.tape.y, self.v, None)
        if self.a is None:
            solved = solve(T, self.u)
        else:
            u = rows(self.u)
            solved = solve.improve(T, self.u, u, rows(self.v + self.a) - u)
        if isinstance(T, _Seen):
            self.lipschitz = max(self.lipschitz, T.largest)
        self.u, self.a = solved.x, None
        self.solves.append(solved.report)
        return bool(solved.report.converged) and tol > floor

    def _measure(self) -> Certificate:
        """The gradient as it stands, and its certificate: one product, and what an estimate takes."""
        assert self.u is not None
        pulls = CountedProducts(self.leaves)
        self.a, B = pulls.through(self.tape, self.u)
        if self.known is None:
            self.parametric = self.parametric or probe(pulls, self.tape)
            self.parametric = max(self.parametric, norm(B) / (norm(self.u) or 1))
        self._shake()
        self._count(pulls)
        sizes = [leaf.numel() * (2 if leaf.is_complex() else 1) for leaf in self.leaves]
        parts = dict(zip(map(id, self.leaves), B.split(sizes), strict=True))
        for key, h in self.here.direct.items():
            if self._asked(key):
                parts[key] = parts[key] + h if key in parts else h
        self.gradient = CertifiedGradient(parts)
        self.allowed = self.goal(self.gradient)
        return self._certificate(self.a)

    def _certificate(self, a: Tensor) -> Certificate:
        """The certificate, if ``a`` is ``Jᵀu``."""
        assert self.u is not None
        x, y = self.tape.x.detach(), self.tape.y.detach()
        size = self.gradient.size
        if not math.isfinite(size):
            return none("the gradient is not finite", size=size)
        if not bool(self.v.isfinite().all()):
            return none("the cotangent is not finite", size=size)
        pulls = CountedProducts(self.leaves)
        regularity: DerivativeBounds = self.known or EstimatedBounds(
            self.T, pulls, self.lipschitz, self.parametric, y - x
        )
        bent = loss_curvature(self.loss, y, self.here, y - x) if self.loss is not None else assumed(y, self.v)
        kept = TapedApplication(
            x, y, self.u, a, leaves=tuple(self.leaves), versions=self.versions, rounding=self.rounding
        )
        found = certificate([kept], y, self.v, regularity, bent.smoothness, bent.direct, size)
        self._count(pulls)
        return found.estimate(bent.why) if found.error < math.inf else found

    def _shake(self) -> None:
        """See once what T rounds off, where certificates need it."""
        if self.known is None or self.rounding is not None or states_rounding(self.known):
            return
        assert self.u is not None
        self.rounding = shake(self.T, self.tape, self.leaves, self.u)
        self.forward = self.forward.combined_with(dataclasses.replace(self.forward, applications=DRAWS))
        self.solves.append(SolveReport(DRAWS + 1))

    def _asked(self, leaf: int) -> bool:
        return self.only is None or any(id(one) == leaf for one in self.only)

    def _count(self, pulls: CountedProducts) -> None:
        self.recomputed += [1] * pulls.taped
        if pulls.made:
            self.solves.append(SolveReport(pulls.made))


class _Seen(TapedAdjoint):
    """An adjoint map that keeps the largest ``‖Jᵀu‖/‖u‖`` that it saw."""

    largest = 0.0

    def linear(self, u: Tensor) -> Tensor:
        """``Jᵀu``."""
        a = super().linear(u)
        both = norms(rows(a.reshape(a.numel())), rows(u.reshape(u.numel())))[:, 0]
        self.largest = max(self.largest, float(both[0]) / (float(both[1]) or 1))
        return a
