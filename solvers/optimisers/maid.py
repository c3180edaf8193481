"""MAID: gradient descent that backtracks on inexact losses (arXiv 2308.10098)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .._certificates.loss_curvature import loss_curvature
from .._certificates.search import CertifiedSearch
from .._certificates.taped_gradient import GradientParts
from .._core.argument_checks import at_least, fraction, positive
from .._core.batch import norm
from .._core.solver import Solver
from .objective import BilevelObjective, Evaluation, State
from .protocol import OuterStep, steps_of

ROUNDED = 1e-12
"""Relative residual below which a tolerance is of no use."""


@dataclass(frozen=True, slots=True)
class MAID:
    """The method of adaptive inexact descent, with bounds from constants that are estimated on the way.

    With an estimate ``e ≥ ‖x − x*‖``, the loss at the equilibrium differs by at most ``‖∇ℓ‖ e + Λ/2 e²``. A step
    ``−α g`` is accepted if even the largest new loss lies below the smallest old one by ``descent · α ‖g‖²``; a trial
    is a solve alone. The gradient must have an estimated error of at most ``1 − angle`` of its size, or both tolerances
    are multiplied by ``tighten``. If all trials fail, they are as well, the gradient is computed anew, the step size is
    that of before, and there is one trial more. After a step, tolerances are multiplied by ``loosen``, and α by
    ``grow``. Norms of J and B are those observed, with a factor of safety; nothing is proven. The solver is not used.

    Attributes:
        first: length of the first step in θ.
        start: first relative residual of both equations.
        tighten, loosen, shrink, grow: factors of tolerances and of step sizes.
        descent, angle: constants of the two tests, in (0, 1].
        trials: step sizes tried at first.
        budget: applications and products of one solve.

    Raises:
        ValueError: a setting is out of its range.

    Source: Salehi, Mukherjee, Roberts, Ehrhardt (arXiv 2308.10098). The order of loops, both tests and all defaults but
    ``first`` and ``budget`` were checked against the authors' code (github.com/MohammadSadeghSalehi/MAID, ``MAID.py``);
    the text of the paper was not at hand. What differs: tolerances are relative residuals, where the code bounds
    ``‖x − x*‖`` by strong convexity; e is estimated from the residual, with the ratio of the last gradient; the bound
    on the gradient is this project's, with estimated constants; and the lower loss has the term ``Λ/2 e²``, which the
    code leaves out for convex ℓ.
    """

    first: float = 1.0
    start: float = 0.1
    tighten: float = 0.5
    loosen: float = 1.05
    shrink: float = 0.9
    grow: float = 10 / 9
    descent: float = 1e-8
    angle: float = 1e-4
    trials: int = 10
    budget: int = 1000

    def __post_init__(self) -> None:
        for name in ("start", "tighten", "shrink", "descent", "angle"):
            fraction(name, getattr(self, name))
        for name in ("first", "loosen", "grow"):
            positive(name, getattr(self, name))
        at_least("trials", self.trials, 1)
        at_least("budget", self.budget, 1)

    def minimise(
        self, objective: BilevelObjective, solver: Solver, state: State | None = None
    ) -> Iterator[OuterStep]:
        """See ``Optimiser``; it ends when tolerances reach rounding."""
        yield from steps_of(_Run(self, objective), state)


class _Run:
    """One descent: the present point, its tolerance and step size, and counts."""

    def __init__(self, settings: MAID, objective: BilevelObjective) -> None:
        self.settings, self.objective = settings, objective
        self.here: _Point
        self.tol, self.size = settings.start, 0.0
        self.work = self.trials = self.number = 0
        self.why = ""

    def start(self) -> OuterStep:
        here = _begin(self.objective, self.objective.theta(), self.objective.start, self)
        self._accept(here)
        self.size = self.settings.first / (norm(self.here.gradient) or 1.0)
        return self._yielded()

    def step(self) -> OuterStep:
        """One accepted step, or the reason why there is none."""
        settings, allowed = self.settings, self.settings.trials
        self.number += 1
        while self.tol > ROUNDED:
            alpha, here = self.size, self.here
            for _ in range(allowed):
                trial = _begin(self.objective, here.theta - alpha * here.gradient, here.x, self)
                self.work, self.trials = self.work + trial.search.spent, self.trials + 1
                asked = settings.descent * alpha * norm(here.gradient) ** 2
                if trial.loss + trial.spread(here.ratio) <= here.loss - here.spread - asked:
                    self.work -= trial.search.spent
                    self.trials -= 1
                    self._accept(trial)
                    self.size, self.tol = alpha * settings.grow, min(1.0, self.tol * settings.loosen)
                    return self._yielded()
                alpha *= settings.shrink
            self._tighten()
            allowed += 1
        self.why = "tolerances have reached rounding"
        return self._yielded()

    def _accept(self, trial: _Trial) -> None:
        """Compute the gradient of a trial, and again with smaller tolerances while its error is too large."""
        self.here = trial.finish(self)
        self.work, self.trials = self.work + trial.search.spent, self.trials + 1
        while self.here.error > (1 - self.settings.angle) * norm(self.here.gradient) and self.tol > ROUNDED:
            self._tighten(once=True)

    def _tighten(self, once: bool = False) -> None:
        self.tol *= self.settings.tighten
        trial = _begin(self.objective, self.here.theta, self.here.x, self)
        if once:
            self.here = trial.finish(self)
            self.work, self.trials = self.work + trial.search.spent, self.trials + 1
        else:
            self._accept(trial)

    def _yielded(self) -> OuterStep:
        here = self.here
        kept = {name: getattr(self, name) for name in _KEPT}
        saved = {**kept, "here": [getattr(here, name) for name in here.__dataclass_fields__]}
        evaluation = Evaluation(here.theta, here.loss, here.gradient, here.work)
        return OuterStep(self.number, evaluation, self.work, self.trials, saved, why=self.why)

    def resume(self, state: State) -> None:
        """Go on after the step of ``state``."""
        self.here = _Point(*state["here"])
        for name in _KEPT:
            setattr(self, name, state[name])
        self.objective.move(self.here.theta)


_KEPT = ("tol", "size", "work", "trials", "number", "why")


@dataclass(frozen=True, slots=True)
class _Point:
    """θ with its gradient; ``ratio`` of the distance of x to the equilibrium and its residual."""

    theta: Tensor
    gradient: Tensor
    x: Tensor
    u: Tensor
    loss: float
    spread: float
    error: float
    ratio: float
    work: int


@dataclass(frozen=True, slots=True)
class _Trial:
    """A θ with its loss, and without its gradient."""

    objective: BilevelObjective
    theta: Tensor
    search: CertifiedSearch
    loss: float
    residual: float
    slope: float
    smoothness: float

    def spread(self, ratio: float) -> float:
        """How far the loss may be from that at the equilibrium."""
        e = ratio * self.residual
        return self.slope * e + self.smoothness / 2 * e**2

    def finish(self, run: _Run) -> _Point:
        """Solve the adjoint equation."""
        search = self.search
        search.solve_adjoint(run.tol, run.settings.budget)
        search.measure()
        assert search.a is not None
        assert search.u is not None
        bound = search.certificate(search.a)
        parts = search.gradient.parts
        gradient = torch.cat([parts.get(id(p), p.new_zeros(p.numel())) for p in self.objective.parameters])
        ratio = bound.distance / self.residual if self.residual else 0.0
        y, spread = search.tape.y.detach(), self.spread(ratio)
        return _Point(self.theta, gradient, y, search.u, self.loss, spread, bound.error, ratio, search.spent)


def _begin(objective: BilevelObjective, theta: Tensor, x: Tensor, run: _Run) -> _Trial:
    """Move to θ and solve from x."""
    objective.move(theta)
    search = CertifiedSearch(objective.map(), objective.loss, _no_goal, run.tol, run.settings.budget, x)
    search.bounds = None  # constants are estimated, as in the paper
    search.parameters = objective.parameters
    search.approach(run.tol)
    search.record()
    y = search.tape.y.detach()
    moved = y - search.tape.x.detach()
    smoothness = loss_curvature(objective.loss, y, search.loss_derivatives, moved).smoothness
    with torch.no_grad():
        loss = float(objective.loss(y))
    return _Trial(objective, theta, search, loss, norm(moved), norm(search.v), smoothness)


def _no_goal(gradient: GradientParts) -> float:
    return 0.0
