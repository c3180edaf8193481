"""Results of a solve: the point, the report on how it was found, and the solution that autograd differentiates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from torch import Tensor

from .certificate import Certificate
from .maps import Map


@dataclass(frozen=True, slots=True)
class SolveReport:
    """How one fixed-point solve ended. Non-convergence is data here, never an exception.

    Attributes:
        applications: how often the map was applied.
        active_fraction: mean fraction of the batch that an application was made on; below 1 if samples that had
            converged were left out of later ones.
        residual: ``‖T(x) − x‖ / ‖T(x)‖`` of the point that was returned, the largest over the
            batch; ``nan`` where the policy did not measure it.
        converged: whether ``residual`` met the tolerance; ``None`` where there was none.
    """

    applications: int
    residual: float = float("nan")
    converged: bool | None = None
    active_fraction: float = 1.0

    @property
    def evaluations(self) -> float:
        """Applications, each counted as the share of the batch that it was made on."""
        return self.applications * self.active_fraction

    def combined_with(self, more: SolveReport) -> SolveReport:
        """This solve, gone on with by another."""
        total = self.applications + more.applications
        fraction = (self.evaluations + more.evaluations) / total if total else 1.0
        return replace(more, applications=total, active_fraction=fraction)


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """What a reach leaves behind: a point without a tape, and the report on how it came about.

    Attributes:
        x: the point.
        report: how it was found.
        inverse: ``v -> ≈ (I − Jᵀ)⁻¹v``, where the reach has learned it on its way (quasi-Newton); ``None`` elsewhere.
    """

    x: Tensor
    report: SolveReport
    inverse: Map | None = None


@dataclass(frozen=True, slots=True)
class Solution:
    """The value of a solver, and an honest account of what it cost.

    Attributes:
        x: the reconstruction; backpropagating through it gives the gradient estimate.
        forward: the solve without a tape, that of ``x* = T(x*)``.
        taped_applications: applications of ``T`` on the tape.
        adjoint: one report for each adjoint solve made so far. It is filled by ``backward()``,
            and stays empty for estimators that solve no adjoint equation.
        recomputed: one number for each further application of ``T`` on a tape: the fraction of the batch that it was
            made on. Counted are applications repeated by ``backward()``, and those at points that were given up.
        certificates: of the gradient, where the estimator makes one; there once it is known.
    """

    x: Tensor
    forward: SolveReport
    taped_applications: int
    adjoint: list[SolveReport] = field(default_factory=list[SolveReport])
    recomputed: list[float] = field(default_factory=list[float])
    certificates: list[Certificate] = field(default_factory=list["Certificate"])

    @property
    def applications(self) -> int:
        """Applications of ``T``, with and without a tape, those made again by ``backward()`` included."""
        return self.forward.applications + self.taped_applications + len(self.recomputed)

    @property
    def vjps(self) -> int:
        """Vector-Jacobian products of ``T`` that one ``backward()`` made (call it afterwards)."""
        return self.taped_applications + sum(solve.applications for solve in self.adjoint)

    @property
    def evaluations(self) -> float:
        """``applications``, each counted as the share of the batch that it was made on."""
        return self.forward.evaluations + self.taped_applications + sum(self.recomputed)

    @property
    def products(self) -> float:
        """``vjps``, each counted as the share of the batch that it was made on (call it after ``backward()``)."""
        return self.taped_applications + sum(solve.evaluations for solve in self.adjoint)

    @property
    def work(self) -> float:
        """Evaluations and products together: what tables, floors and trainings count."""
        return self.evaluations + self.products

    @property
    def converged(self) -> bool:
        """False as soon as any solve with a tolerance, forward or adjoint, missed it."""
        return all(report.converged is not False for report in (self.forward, *self.adjoint))
