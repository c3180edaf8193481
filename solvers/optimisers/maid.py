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
from .protocol import OuterStep


@dataclass(frozen=True, slots=True)
class MAID:
    """The method of adaptive inexact descent, with bounds from constants that are estimated on the way.

    With an estimate ``e ≥ ‖x − x*‖``, the loss at the equilibrium differs by at most ``‖∇ℓ‖ e + Λ/2 e²``. A step
    ``−α g`` is accepted if even the largest new loss lies below the smallest old one by ``descent · α ‖g‖²``. The
    gradient must have an estimated error of at most ``1 − angle`` of its size. If ``trials`` step sizes fail, or the
    error is too large, both tolerances are multiplied by ``tighten``; after a step they are by ``loosen``, and α by
    ``grow``. Norms of J and B are those observed, with a factor of safety; nothing is proven. The solver is not used.

    Attributes:
        first: length of the first step in θ.
        start: first relative residual of both equations.
        tighten, loosen, shrink, grow: factors of tolerances and of step sizes.
        descent, angle: constants of the two tests, in (0, 1].
        trials: step sizes tried at one tolerance.
        budget: applications and products of one solve.

    Raises:
        ValueError: a setting is out of its range.

    Source: arXiv 2308.10098, after its idea; constants and the order of the loops were not checked against the paper.
    """

    first: float = 1.0
    start: float = 1e-2
    tighten: float = 0.5
    loosen: float = 1.25
    shrink: float = 0.5
    grow: float = 10 / 9
    descent: float = 1e-4
    angle: float = 0.1
    trials: int = 5
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
        x, u, tol = objective.start, None, self.start
        work = trials = number = 0
        theta, size = objective.theta(), 0.0
        if state is not None:
            x, u, tol, work, trials, number, size = (state[name] for name in _KEPT)
            theta, number = state["theta"], number + 1
            here = _Point(*state["point"])
        else:
            here = self._at(objective, theta, x, u, tol)
            work, trials = here.work, 1
            while here.error > (1 - self.angle) * norm(here.gradient) and tol > 1e-12:
                tol *= self.tighten
                here = self._at(objective, theta, here.x, here.u, tol)
                work, trials = work + here.work, trials + 1
            size = self.first / (norm(here.gradient) or 1.0)
            yield _yielded(here, work, trials, 0, tol, size)
            number = 1
        why = ""
        while not why:
            found = None
            while found is None and tol > 1e-12:
                alpha = size
                for _ in range(self.trials):
                    there = self._at(objective, here.theta - alpha * here.gradient, here.x, here.u, tol)
                    work, trials = work + there.work, trials + 1
                    if (
                        there.loss + there.spread
                        <= here.loss - here.spread - self.descent * alpha * norm(here.gradient) ** 2
                    ):
                        found = there
                        break
                    alpha *= self.shrink
                if found is None:
                    tol *= self.tighten
                    here = self._at(objective, here.theta, here.x, here.u, tol)
                    work, trials = work + here.work, trials + 1
                    size = max(alpha, size * self.shrink)
                else:
                    size = alpha
            if found is None:
                why = "tolerances have reached rounding"
            else:
                here, size, tol = found, size * self.grow, min(self.start, tol * self.loosen)
                while here.error > (1 - self.angle) * norm(here.gradient) and tol > 1e-12:
                    tol *= self.tighten
                    here = self._at(objective, here.theta, here.x, here.u, tol)
                    work, trials = work + here.work, trials + 1
            yield _yielded(here, work, trials, number, tol, size, why)
            number += 1

    def _at(
        self, objective: BilevelObjective, theta: Tensor, x: Tensor, u: Tensor | None, tol: float
    ) -> _Point:
        objective.move(theta)
        search = CertifiedSearch(objective.map(), objective.loss, _no_goal, tol, self.budget, x)
        search.bounds = None  # constants are estimated, as in the paper
        search.parameters, search.u = objective.parameters, u
        search.approach(tol)
        search.record()
        search.solve_adjoint(tol, self.budget)
        search.measure()
        assert search.a is not None
        assert search.u is not None
        bound = search.certificate(search.a)
        y = search.tape.y.detach()
        smoothness = loss_curvature(
            objective.loss, y, search.loss_derivatives, y - search.tape.x.detach()
        ).smoothness
        e = bound.distance
        parts = search.gradient.parts
        gradient = torch.cat([parts.get(id(p), p.new_zeros(p.numel())) for p in objective.parameters])
        with torch.no_grad():
            loss = float(objective.loss(y))
        spread = norm(search.v) * e + smoothness / 2 * e**2
        return _Point(theta, gradient, y, search.u, loss, spread, bound.error, search.spent)


@dataclass(frozen=True, slots=True)
class _Point:
    theta: Tensor
    gradient: Tensor
    x: Tensor
    u: Tensor
    loss: float
    spread: float
    error: float
    work: int


_KEPT = ("x", "u", "tol", "work", "trials", "number", "size")


def _yielded(
    here: _Point, work: int, trials: int, number: int, tol: float, size: float, why: str = ""
) -> OuterStep:
    values = (here.x, here.u, tol, work, trials, number, size)
    point = [getattr(here, name) for name in here.__dataclass_fields__]
    saved = {**dict(zip(_KEPT, values, strict=True)), "theta": here.theta, "point": point}
    evaluation = Evaluation(here.theta, here.loss, here.gradient, here.work)
    return OuterStep(number, evaluation, work, trials, saved, why=why)


def _no_goal(gradient: GradientParts) -> float:
    return 0.0
