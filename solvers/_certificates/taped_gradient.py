"""The implicit gradient at one taped application: its adjoint equation, and its certificate."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._adjoint.adjoint_map import TapedAdjoint
from .._adjoint.gmres import GMRES
from .._core.batch import norm, norms, ratio, rows
from .._core.certificate import Certificate
from .._core.maps import Loss, Map
from .._core.results import SolveReport
from .._core.tape import LeafVersions, tape_ends
from .._forward.stagnation import PROGRESS
from .adjoint_space import AdjointSpace
from .bound import certificate, no_certificate
from .derivative_bounds import DerivativeBounds, HasDerivativeBounds, states_rounding
from .estimated_bounds import CountedProducts, EstimatedBounds, probe_B_norm
from .loss_curvature import LossDerivatives, assumed_curvature, loss_curvature, loss_derivatives
from .products import TapedMap, taped
from .rounding import DRAWS, Rounding, estimate_rounding
from .tape_recorder import TapedApplication

MEMORY = GMRES().memory
"""Dimension of a Krylov space."""


@dataclass(frozen=True, slots=True)
class GradientParts:
    """A gradient as one vector for each leaf, by its ``id``."""

    parts: dict[int, Tensor]

    @property
    def size(self) -> float:
        """``‖g‖``."""
        return math.hypot(*map(norm, self.parts.values()))


class TapedGradient:
    """``g = h + B(x)ᵀu`` at a point x, with u an approximate solution of ``u = v + Jᵀu``, and counts of its cost.

    Attributes:
        x: the point, without a tape.
        bounds: derivative bounds that T states; ``None`` if they have to be estimated.
        v: the cotangent.
        u, a: the approximate adjoint, and ``Jᵀu`` if it is known at this tape; ``None`` if not.
        loss_derivatives: of the loss at ``T(x)``; v and nothing else without a loss.
        parameters: leaves that the gradient is restricted to; ``None`` for all on the tape.
        leaves, versions: the leaves of the gradient, and their versions when T was taped.
        may_have_parameters: whether a parameter may be on the tape.
        gradient: the last measured gradient.
        forward: report of all forward solves, as one.
        taped_applications: 1 once there is a tape.
        adjoint: one report per adjoint solve, and per product besides.
        recomputed: a 1 per application on a tape beyond the first.
    """

    def __init__(self, T: Map, loss: Loss | None, x: Tensor) -> None:
        self.T, self.loss = T, loss
        self.bounds = T.regularity() if isinstance(T, HasDerivativeBounds) else None
        self.x = self.v = x
        self._tape: TapedMap | None = None
        self.u: Tensor | None = None
        self.a: Tensor | None = None
        self.loss_derivatives = LossDerivatives(x, {})
        self.parameters: Sequence[Tensor] | None = None
        self.leaves: list[Tensor] = []
        self.may_have_parameters = False
        self.versions = LeafVersions(())
        self.gradient = GradientParts({})
        self.forward, self.taped_applications = SolveReport(0), 0
        self.adjoint: list[SolveReport] = []
        self.recomputed: list[float] = []
        self._space: AdjointSpace | None = None
        self._rounding: Rounding | None = None
        self._J_norm = self._B_norm = 0.0  # largest observed

    @property
    def tape(self) -> TapedMap:
        """``T(x)`` on its tape."""
        assert self._tape is not None, "T has not been taped"
        return self._tape

    @property
    def spent(self) -> int:
        """Applications and products so far."""
        products = sum(report.applications for report in self.adjoint)
        return self.forward.applications + self.taped_applications + len(self.recomputed) + products

    def record(self) -> None:
        """Tape T at x, and differentiate the loss there."""
        if self.taped_applications:
            self.recomputed.append(1)
        # Drop the old tape first: one at a time. The space holds it too.
        self.taped_applications, self.a, self._tape, self._space = 1, None, None, None
        self._tape = taped(self.T, self.x)
        if math.isnan(self.forward.residual) and self.forward.applications:
            x, y = rows(self._tape.x.detach()), rows(self._tape.y.detach())
            self.forward = dataclasses.replace(self.forward, residual=float(ratio(*norms(y - x, y)).max()))
        if self.loss is not None and self._tape.y.requires_grad:
            self.loss_derivatives = loss_derivatives(self.loss, self._tape.y)
            self.v = self.loss_derivatives.v
        ends = tape_ends(self._tape.y, start=self._tape.x)
        self.may_have_parameters = ends.may_have_parameters
        self.leaves = [leaf for leaf in ends.leaves if self._is_wanted(id(leaf))]
        self.versions = LeafVersions(self.leaves)

    def restart(self, tape: TapedMap, v: Tensor) -> None:
        """Continue at ``tape`` with the cotangent ``v`` of an unknown loss."""
        self.loss, self.loss_derivatives, self._tape, self.v = None, LossDerivatives(v, {}), tape, v
        self.u = self.a = self._space = None

    def release(self) -> None:
        """Release the tape and all tensors of the size of x."""
        empty = self.x.new_empty(0)
        self._tape = self.u = self.a = self._space = None
        self.v = self.x = empty
        self.loss_derivatives, self.gradient = LossDerivatives(empty, {}), GradientParts({})

    def solve_adjoint(self, tol: float, budget: int) -> bool:
        """Solve the adjoint equation by at most ``budget`` products, from u; return whether ``tol`` was met."""
        if self.u is None:
            self.u = self.v
        eps = torch.finfo(self.v.dtype).eps
        solver = GMRES(max(tol, eps), budget)
        operator = _ObservedAdjoint if self.bounds is None else TapedAdjoint
        T = operator(self.tape.x, self.tape.y, self.v, None)
        if self.a is None:
            solution = solver(T, self.u)
        else:
            u = rows(self.u)
            r = rows(self.v + self.a) - u
            solution = solver.improve(T, self.u, u, u + r, r)
        if isinstance(T, _ObservedAdjoint):
            self._J_norm = max(self._J_norm, T.J_norm)
        self.u, self.a = solution.x, None
        self.adjoint.append(solution.report)
        return bool(solution.report.converged) and tol > eps

    def continue_adjoint(self, residual: float, budget: int) -> bool:
        """Improve u by at most ``budget`` products in one Krylov space, which later calls at this tape continue.

        Args:
            residual: the norm to which the residual of the adjoint equation is to be reduced, over the whole batch.
            budget: maximal number of products.

        Returns:
            Whether the recurrence claims it.
        """
        operator = _ObservedAdjoint if self.bounds is None else TapedAdjoint
        T = operator(self.tape.x, self.tape.y, self.v, None)
        space, products, least = self._space, 0, math.inf
        if space is None or (self.a is not None and not space.continues(self.u, self.a)):
            space = AdjointSpace(T, self.u, self.a, MEMORY)
            products = space.started
        while products < budget:
            products += space.grow(residual, budget - products)
            if space.residual <= residual or not space.full or products + 2 > budget:
                break
            if not space.residual <= PROGRESS * least:
                break
            least = space.residual
            space = AdjointSpace(T, space.point, None, MEMORY)
            products += space.started
        if isinstance(space.T, _ObservedAdjoint):
            self._J_norm = max(self._J_norm, space.T.J_norm)
        self._space, self.u, self.a = space, space.point, None
        met = space.residual <= residual
        self.adjoint.append(SolveReport(products, space.relative, met))
        return met

    def measure(self) -> None:
        """Compute the gradient by one product, and what an estimated certificate needs."""
        assert self.u is not None
        products = CountedProducts(self.leaves)
        self.a, B = products.through(self.tape, self.u)
        if self.bounds is None:
            self._B_norm = self._B_norm or probe_B_norm(products, self.tape)
            self._B_norm = max(self._B_norm, norm(B) / (norm(self.u) or 1))
        elif self._rounding is None and not states_rounding(self.bounds):
            self._rounding = estimate_rounding(self.T, self.tape, self.leaves, self.u)
            self.forward = self.forward.combined_with(dataclasses.replace(self.forward, applications=DRAWS))
            self.adjoint.append(SolveReport(DRAWS + 1))
        self._count(products)
        sizes = [leaf.numel() * (2 if leaf.is_complex() else 1) for leaf in self.leaves]
        parts = dict(zip(map(id, self.leaves), B.split(sizes), strict=True))
        for leaf, h in self.loss_derivatives.direct.items():
            if self._is_wanted(leaf):
                parts[leaf] = parts[leaf] + h if leaf in parts else h
        self.gradient = GradientParts(parts)

    def certificate(self, a: Tensor) -> Certificate:
        """Return the certificate of the last measured gradient, supposing that ``Jᵀu = a``."""
        assert self.u is not None
        x, y = self.tape.x.detach(), self.tape.y.detach()
        size = self.gradient.size
        if not math.isfinite(size):
            return no_certificate("the gradient is not finite", size=size)
        if not bool(self.v.isfinite().all()):
            return no_certificate("the cotangent is not finite", size=size)
        products = CountedProducts(self.leaves)
        bounds: DerivativeBounds = self.bounds or EstimatedBounds(
            self.T, products, self._J_norm, self._B_norm, y - x
        )
        if self.loss is None:
            curvature = assumed_curvature(y, self.v)
        else:
            curvature = loss_curvature(self.loss, y, self.loss_derivatives, y - x)
        application = TapedApplication(
            x, y, self.u, a, leaves=tuple(self.leaves), versions=self.versions, rounding=self._rounding
        )
        bound = certificate([application], y, self.v, bounds, curvature.smoothness, curvature.direct, size)
        self._count(products)
        return bound.estimate(curvature.why) if bound.error < math.inf else bound

    def _is_wanted(self, leaf: int) -> bool:
        return self.parameters is None or any(id(parameter) == leaf for parameter in self.parameters)

    def _count(self, products: CountedProducts) -> None:
        self.recomputed += [1] * products.applications
        if products.products:
            self.adjoint.append(SolveReport(products.products))


class _ObservedAdjoint(TapedAdjoint):
    """An adjoint operator that records the largest ``‖Jᵀu‖/‖u‖`` of its products."""

    J_norm = 0.0

    def linear(self, u: Tensor) -> Tensor:
        """``Jᵀu``."""
        a = super().linear(u)
        sizes = norms(rows(a.reshape(a.numel())), rows(u.reshape(u.numel())))[:, 0]
        self.J_norm = max(self.J_norm, float(sizes[0]) / (float(sizes[1]) or 1))
        return a
