"""The gradients of the comparative study of learned regularisers (arXiv 2510.01755): its IFT and its JFB.

Written from its description and its public code (johertrich/LearnedRegularizers), with deepinv's MINRES as there.
"""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

from dataclasses import dataclass, field

import torch
from deepinv.optim.utils import minres
from torch import Tensor

from solvers import Loss, Map, Solution, SolveReport

from .. import operators
from ..operators import BoundOperator, Operator, Splitting, forward_backward
from ..operators.gradient_step import GradientStep
from ..utils.arguments import real, whole
from ..utils.errors import UserError
from .base import installed, shortest_call
from .nmapg import minimise

ENERGY = 0.5
"""Applications that an energy alone counts as: it is one convolution of the image where a gradient is two. The energy
of a point whose gradient is evaluated counts nothing, because the study's code gets both from one evaluation."""


@dataclass(slots=True)
class CountedEnergy:
    """``½‖Ax − y‖² + R(x)`` of each sample, with counts of its evaluations.

    Attributes:
        T: a gradient step on the energy, bound to its measurements.
        calls: evaluations of gradients, and of energies alone.
        applications: the same as applications of T to the whole batch: samples that have ended cost nothing, and an
            energy alone counts ``ENERGY``.
    """

    T: BoundOperator
    calls: int = 0
    applications: float = 0.0

    def value(self, x: Tensor, index: Tensor) -> Tensor:
        """The energies ``(n,)`` of samples ``index``, at images ``x`` ``(n, C, H, W)``."""
        self._count(index, ENERGY)
        return self._value(x, index)

    def gradient(self, x: Tensor, index: Tensor) -> Tensor:
        """Their gradients, of the shape of ``x``; differentiable in x and the parameters of R."""
        self._count(index, 1.0)
        T = self.T if len(index) == len(self.T.y) else self.T.select(index)
        return _step_of(T).regulariser.gradient(x) - T.data.descent(x)

    def value_and_gradient(self, x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Both, at the cost of a gradient."""
        gradient = self.gradient(x, index)
        return self._value(x, index), gradient

    def _value(self, x: Tensor, index: Tensor) -> Tensor:
        misfit = self.T.physics.A(x) - self.T.y[index]
        return misfit.square().flatten(1).sum(1) / 2 + _step_of(self.T).regulariser.energy(x)

    def _count(self, index: Tensor, cost: float) -> None:
        self.calls += 1
        self.applications += cost * len(index) / len(self.T.y)


@dataclass(frozen=True, slots=True)
class StudyGradient:
    """nmAPG to a tolerance; then MINRES on the Hessian (IFT), or one gradient step of ``1/L`` (JFB).

    Attributes:
        tol: relative change of x at which nmAPG stops.
        adjoint: tolerance of MINRES; ``None`` for JFB.
        budget: largest number of steps of nmAPG, and of MINRES.
    """

    label: str = field(compare=False)
    tol: float
    adjoint: float | None
    budget: int

    @property
    def composition(self) -> str:
        """Both parts, with every setting."""
        if self.adjoint is None:
            return f"nmapg({self.tol:g}, {self.budget}) × a gradient step of 1/L"
        return (
            f"nmapg({self.tol:g}, {self.budget}) × minres({self.adjoint:g}, {self.budget}) of "
            f"{installed('deepinv')}"
        )

    @staticmethod
    def admits(
        operator: Operator | operators.Prior,
        splitting: Splitting = forward_backward(),  # noqa: B008 (frozen)
    ) -> bool:
        """Whether there is an energy: the operator is a gradient step on a learned regulariser, or its prior's is."""
        by_prior = hasattr(operator, "regulariser") and splitting == forward_backward()
        return isinstance(operator, GradientStep) or by_prior

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> Solution:
        """Solve from images ``x0`` ``(B, C, H, W)``. Raises ``UserError`` if T is no gradient step."""
        if not (isinstance(T, BoundOperator) and isinstance(T.operator, GradientStep)):
            raise UserError(
                f"{self.label} needs an energy, so a learned regulariser: leave it out for this task"
            )
        energy = CountedEnergy(T)
        found = minimise(energy, x0.detach(), self.tol, self.budget)
        report = SolveReport(
            energy.calls,
            found.change,
            found.change < self.tol,
            energy.applications / energy.calls,
        )
        x, everything = found.x.detach(), torch.arange(len(x0), device=x0.device)
        if not torch.is_grad_enabled():
            return Solution(x, report, 0)
        if self.adjoint is None:
            step = energy.gradient(x, everything) / found.curvature.view(-1, 1, 1, 1)
            return Solution(x - step, report, 1)
        return self._implicit(energy, x.requires_grad_(), everything, report)

    def _implicit(self, energy: CountedEnergy, x: Tensor, index: Tensor, report: SolveReport) -> Solution:
        """``−(∂∇E/∂θ)ᵀ q`` with ``∇²E q = v``. The tape of one gradient serves all products."""
        gradient = energy.gradient(x, index)
        reports: list[SolveReport] = []

        def solve(v: Tensor) -> Tensor:
            products = 0

            def hessian(q: Tensor) -> Tensor:
                nonlocal products
                products += 1
                return torch.autograd.grad(gradient, x, q, retain_graph=True)[0]

            assert self.adjoint is not None
            q = minres(hessian, v, max_iter=self.budget, tol=self.adjoint)
            reports.append(SolveReport(products))
            return q

        # The value is x, and the derivative that of a gradient step of length 1.
        y = x.detach() - (gradient - gradient.detach())
        y.register_hook(solve)
        return Solution(y, report, 1, reports)


def _step_of(T: BoundOperator) -> GradientStep:
    assert isinstance(T.operator, GradientStep)
    return T.operator


def study_ift(tol: float = 1e-4, adjoint: float = 1e-6, budget: int = 1000) -> StudyGradient:
    """The study's IFT: nmAPG until x changes by ``tol``, relative, then MINRES to a residual of ``adjoint``.

    Defaults are the study's. It evaluates the gradient again for each product of MINRES, which is not counted here.

    Args:
        tol: relative change of x in a step of nmAPG.
        adjoint: relative residual of MINRES.
        budget: largest number of steps of either.
    """
    label = shortest_call(study_ift, 1, locals())
    return StudyGradient(label, real("tol", tol), real("adjoint", adjoint), whole("budget", budget))


def study_jfb(tol: float = 1e-4, budget: int = 1000) -> StudyGradient:
    """The study's JFB: nmAPG as in ``study_ift``, then the derivative of one gradient step of ``1/L``, L its last."""
    label = shortest_call(study_jfb, 1, locals())
    return StudyGradient(label, real("tol", tol), None, whole("budget", budget))
