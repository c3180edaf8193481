"""Results of a solve: the point, the report on how it was found, and the solution that autograd differentiates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from torch import Tensor

from .certificate import Certificate
from .maps import Map


@dataclass(frozen=True, slots=True)
class SolveReport:
    """Outcome of one fixed-point solve. Non-convergence is reported here, never raised.

    Attributes:
        applications: number of applications of the map.
        active_fraction: mean fraction of the batch per application; below 1 if samples that had converged were skipped.
        residual: ``‖T(x) − x‖ / ‖T(x)‖`` at the returned point, the largest over the batch; nan if not measured.
        converged: whether ``residual`` met the tolerance; ``None`` without a tolerance.
        amplification: the estimated relative error is ``residual`` times this, if the tolerance was one on the error;
            infinite if nothing is known.
    """

    applications: int
    residual: float = float("nan")
    converged: bool | None = None
    active_fraction: float = 1.0
    amplification: float = field(default=math.inf, repr=False)

    @property
    def evaluations(self) -> float:
        """``applications``, each weighted by the fraction of the batch it was made on."""
        return self.applications * self.active_fraction

    def combined_with(self, more: SolveReport) -> SolveReport:
        """Return the report of this solve continued by ``more``."""
        total = self.applications + more.applications
        fraction = (self.evaluations + more.evaluations) / total if total else 1.0
        return replace(more, applications=total, active_fraction=fraction)


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Result of a forward or adjoint solver.

    Attributes:
        x: the point, without a tape.
        report: how it was found.
        inverse: ``v -> ≈ (I − Jᵀ)⁻¹v``, if a quasi-Newton solver has learned it; otherwise ``None``.
        adjoint: an adjoint of the same samples at an earlier visit, of the shape of ``x``, at which the adjoint solve
            starts; ``None`` to start without one.
        ahead: the point that the forward solver would have gone to next, of the shape of ``x``; ``None`` if unknown.
        resume: ``(y, tol, budget) -> FixedPoint`` continues the solve from ``y = T(ahead)``, with what it has learned;
            ``None`` if it cannot.
    """

    x: Tensor
    report: SolveReport
    inverse: Map | None = None
    adjoint: Tensor | None = None
    ahead: Tensor | None = None
    resume: Callable[[Tensor, float, int], FixedPoint] | None = None


@dataclass(frozen=True, slots=True)
class Solution:
    """The value of a solver, with counts of all applications and products it made.

    Attributes:
        x: the reconstruction; backpropagating through it gives the gradient estimate.
        forward: report of the forward solve ``x* = T(x*)``, which is made without a tape.
        taped_applications: applications of ``T`` on the tape.
        adjoint: one report per adjoint solve, appended by ``backward()``; empty for estimators without one.
        recomputed: one number per further application of ``T`` on a tape, the fraction of the batch it was made on:
            applications repeated by ``backward()``, and applications at points given up later.
        certificates: certificates of the gradient, for estimators that compute them; filled when known.
        adjoints: the adjoint u of each backward pass, of the shape of ``x`` and without a tape, appended by
            ``backward()``: the ``u0`` of the next visit of these samples. Empty without an adjoint solve.
    """

    x: Tensor
    forward: SolveReport
    taped_applications: int
    adjoint: list[SolveReport] = field(default_factory=list[SolveReport])
    recomputed: list[float] = field(default_factory=list[float])
    certificates: list[Certificate] = field(default_factory=list["Certificate"])
    adjoints: list[Tensor] = field(default_factory=list[Tensor])

    @property
    def applications(self) -> int:
        """Applications of ``T``, with and without a tape, including those repeated by ``backward()``."""
        return self.forward.applications + self.taped_applications + len(self.recomputed)

    @property
    def vjps(self) -> int:
        """Vector-Jacobian products of ``T`` in one ``backward()``; read it afterwards."""
        return self.taped_applications + sum(solve.applications for solve in self.adjoint)

    @property
    def evaluations(self) -> float:
        """``applications``, each weighted by the fraction of the batch it was made on."""
        return self.forward.evaluations + self.taped_applications + sum(self.recomputed)

    @property
    def products(self) -> float:
        """``vjps``, each weighted by the fraction of the batch it was made on; read it after ``backward()``."""
        return self.taped_applications + sum(solve.evaluations for solve in self.adjoint)

    @property
    def work(self) -> float:
        """``evaluations`` plus ``products``: the cost in tables and trainings."""
        return self.evaluations + self.products

    @property
    def converged(self) -> bool:
        """False if any solve with a tolerance, forward or adjoint, missed it."""
        return all(report.converged is not False for report in (self.forward, *self.adjoint))
