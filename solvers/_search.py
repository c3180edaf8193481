"""A solve that knows what it is for: it goes on, forward or backward, until a certificate says that it is enough."""

# The types of torch.autograd are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ._adjoint import AdjointMap
from ._anderson import Anderson
from ._batch import norms, ratio, rows
from ._core import Loss, Map, Report
from ._curvature import Slope, assumed, curvature, slope
from ._gmres import GMRES
from ._observed import Observed, Pulls, leaves, probe
from ._regularity import Regular, Regularity
from ._watch import Taped
from .certificate import Certificate, certificate, norm

CRUDE = 0.1
"""Residual of the first adjoint solve, which only has to tell how large the gradient is."""
SHARE = 0.5
"""What the distance to the equilibrium may cost, of all that is allowed; the rest is the adjoint equation's."""
LEAST = 0.1
"""The adjoint equation is solved to no less than this share of what is allowed, however far the equilibrium."""


@dataclass(frozen=True, slots=True)
class Gradient:
    """A gradient in parts: one for each leaf, by its identity, flattened."""

    parts: dict[int, Tensor]

    @property
    def size(self) -> float:
        """Its norm."""
        return math.sqrt(sum(norm(part) ** 2 for part in self.parts.values()))


class Search:
    """Where such a solve stands: a point, the tape of T there, a cotangent, and its adjoint.

    Attributes:
        x, y: the point, and ``T(x)`` on a tape.
        v, u, a: the cotangent, its adjoint as far as it is known, and ``Jᵀu`` if u was measured at this tape.
        implicit, gradient: ``B(x)ᵀu`` and ``h + B(x)ᵀu`` when they were measured last.
        allowed: the error that its certificate may have.
        reached: all approaches so far, as one.
        solves: one report for each adjoint solve, and for each product besides.
        again: a 1 for every application on a tape.
        found: the certificate, once there is one.
    """

    def __init__(
        self, T: Map, loss: Loss | None, goal: Callable[[Gradient], float], tol: float, budget: int, x: Tensor
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
        self.known = T.regularity() if isinstance(T, Regular) else None
        self.x = self.y = self.v = x
        self.u: Tensor | None = None
        self.a: Tensor | None = None
        self.direct: dict[int, Tensor] = {}
        self.leaves: list[Tensor] = []
        self.lipschitz = self.parametric = 0.0
        self.implicit: dict[int, Tensor] = {}
        self.gradient, self.allowed = Gradient({}), 0.0
        self.reached = Report(0)
        self.solves: list[Report] = []
        self.again: list[float] = []
        self.found: list[Certificate] = []

    @property
    def spent(self) -> int:
        """Applications and products so far."""
        return self.reached.applications + len(self.again) + sum(solve.applications for solve in self.solves)

    def approach(self, tol: float) -> bool:
        """Go on towards the equilibrium, without a tape; whether the residual has got there."""
        floor = torch.finfo(self.x.dtype).eps
        with torch.no_grad():
            found = Anderson(max(tol, floor), max(1, self.budget - self.spent))(self.T, self.x.detach())
        self.x, self.reached = found.x, self.reached.then(found.report)
        return bool(found.report.converged) and tol > floor

    def tape(self) -> None:
        """Apply T on a tape, where the last approach ended."""
        self.again.append(1)
        self.a = None
        self.y = self.y.detach()  # one tape at a time
        self.x = self.x.detach().requires_grad_()
        with torch.enable_grad():
            self.y = self.T(self.x)
        self.leaves = [leaf for leaf in leaves(self.y) if leaf is not self.x]
        if self.loss is not None and self.y.requires_grad:
            here = slope(self.loss, self.y)
            self.v, self.direct = here.v, here.direct

    def settle(self) -> bool:
        """Go on until the error is allowed, the budget is spent, or nothing gets further; whether it is allowed."""
        if not self.y.requires_grad:
            self.tape()
        if self.u is None:
            self.u = self.v
            self._solve(CRUDE)
        found = self._measure()
        if not found.L < 1:
            self._solve(self.tol)
            found = self._measure()
        while found.L < 1 and found.error > self.allowed and self.spent < self.budget:
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
        self.found[:] = [found]
        met = found.error <= self.allowed
        self.reached = dataclasses.replace(self.reached, converged=met)
        self.solves.append(dataclasses.replace(self.solves.pop(), converged=met))
        self.x, self.y = self.x.detach(), self.y.detach()  # the tape goes
        return met

    def _come_near(self, found: Certificate) -> tuple[Certificate, bool]:
        """Approach until the distance to the equilibrium costs its share; the certificate then, and whether x moved."""
        allowed, moved = SHARE * self.allowed, False
        while self.loss is not None and found.equilibrium > allowed and self.spent < self.budget:
            x, y = rows(self.x.detach()), rows(self.y.detach())
            gap = float(ratio(*norms(y - x, y)).max())
            # Where kinks are near, their part falls as the square root of the distance.
            nearer = self.approach(gap * min(0.3, max(1e-3, (allowed / found.equilibrium) ** 1.5)))
            self.tape()
            assert self.u is not None
            # As if the adjoint equation were solved.
            found, moved = self._certificate(self.u - self.v), True
            if not nearer:
                break
        return found, moved

    def _solve(self, tol: float) -> bool:
        """Solve the adjoint equation at the tape; whether the residual has got there."""
        assert self.u is not None
        floor = torch.finfo(self.v.dtype).eps
        solve = GMRES(max(tol, floor), max(1, self.budget - self.spent))
        T = (
            _Seen(self.x, self.y, self.v, None)
            if self.known is None
            else AdjointMap(self.x, self.y, self.v, None)
        )
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
        pulls = Pulls(self.T, self.leaves)
        self.a, B = pulls.through(self.x, self.y, self.u)
        if self.known is None:
            self.parametric = self.parametric or probe(pulls, self.x, self.y)
            self.parametric = max(self.parametric, norm(B) / (norm(self.u) or 1))
        self._count(pulls)
        parts = dict(zip(map(id, self.leaves), B.split([leaf.numel() for leaf in self.leaves]), strict=True))
        self.implicit = dict(parts)
        for key, h in self.direct.items():
            parts[key] = parts[key] + h if key in parts else h
        self.gradient = Gradient(parts)
        self.allowed = self.goal(self.gradient)
        return self._certificate(self.a)

    def _certificate(self, a: Tensor) -> Certificate:
        """The certificate, if ``a`` is ``Jᵀu``."""
        assert self.u is not None
        x, y = self.x.detach(), self.y.detach()
        pulls = Pulls(self.T, self.leaves)
        regularity: Regularity = self.known or Observed(pulls, self.lipschitz, self.parametric, y - x)
        here = Slope(self.v, self.direct)
        bent = curvature(self.loss, y, here, y - x) if self.loss is not None else assumed(y, self.v)
        found = certificate(
            [Taped(x, y, self.u, a)],
            y,
            self.v,
            regularity,
            bent.smoothness,
            bent.direct,
            self.gradient.size,
        )
        self._count(pulls)
        if not bent.why:
            return found
        return dataclasses.replace(found, rigorous=False, why=found.why or bent.why)

    def _count(self, pulls: Pulls) -> None:
        self.again += [1] * pulls.taped
        if pulls.made:
            self.solves.append(Report(pulls.made))


class _Seen(AdjointMap):
    """An adjoint map that keeps the largest ``‖Jᵀu‖/‖u‖`` that it saw."""

    largest = 0.0

    def linear(self, u: Tensor) -> Tensor:
        """``Jᵀu``."""
        a = super().linear(u)
        self.largest = max(self.largest, norm(a) / (norm(u) or 1))
        return a
