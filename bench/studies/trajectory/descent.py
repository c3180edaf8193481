"""What errors of the gradient do to learning: gradient descent with and without them, and THEORY C12's bound beside it.

``θ_{t+1} = θ_t − ηg_t`` on one batch, from the same start, for each estimator and for the exact gradient F'. With
``e_t ≥ ‖g_t − F'(θ_t)‖`` from a certificate, the distance of the two trajectories is at most

    d_T ≤ η Σ_{t<T} ϱ^(T−1−t) e_t        if   ‖(θ − θ') − η(F'(θ) − F'(θ'))‖ ≤ ϱ‖θ − θ'‖   (PROOFS S9)

at the pairs of points that the two pass at the same step: ϱ = 1 for a convex F and η ≤ 2/G, which is an assumption.
Or each step has the ϱ that was measured at that very pair: then the bound holds if the certificates do, whatever F is,
but one has to know the other trajectory, so it is a check and no prediction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from solvers import Loss, Map, Solver, ToleranceSchedule, audit

from ...measurement.hypergradient import NoReference, reference_gradient
from ...measurement.training import parameters
from ...tasks import Batch, Problem
from ...utils.errors import UserError

POWERS = 12
"""Steps of the power iteration for the curvature at the start."""
NUDGE = 1e-4
"""How far its points are from the start."""
PILOTS = 8
"""Trajectories that are tried for a step size."""
SAME = 1e-9
"""Two points are told apart from this relative distance on."""


@dataclass(frozen=True, slots=True)
class TrainingObjective:
    """``F(θ) = ℓ(x*(θ))`` in float64, with θ where the map keeps it.

    Attributes:
        map: T at the θ of this moment, and the map of the equilibrium where that is another one.
        loss: of a state.
        start: the state from which solves begin.
        parameters: θ, in leaves that the map closes over.
    """

    map: Callable[[], Map]
    loss: Loss
    start: Tensor
    parameters: Sequence[Tensor]

    @property
    def theta(self) -> Tensor:
        """θ as one vector, a copy."""
        return torch.cat([p.detach().flatten() for p in self.parameters])

    def move(self, theta: Tensor) -> None:
        """Set θ, and forget gradients."""
        sizes = [p.numel() for p in self.parameters]
        for p, values in zip(self.parameters, theta.split(sizes), strict=True):
            p.grad = None
            with torch.no_grad():
                p.copy_(values.view_as(p))

    def exact(self, theta: Tensor) -> ExactGradient:
        """F and F' at θ by ``reference_gradient``, which raises ``NoReference`` where it finds none."""
        self.move(theta)
        values: list[float] = []

        def loss(x: Tensor) -> Tensor:
            value = self.loss(x)
            values.append(float(value.detach()))
            return value

        gradient = reference_gradient(self.map(), self.parameters, self.start, loss).gradient
        return ExactGradient(theta, values[-1], gradient)


@dataclass(frozen=True, slots=True)
class ExactGradient:
    """F and F' at θ."""

    theta: Tensor
    loss: float
    gradient: Tensor


def objective(problem: Problem, batch: Batch) -> TrainingObjective:
    """The training objective of a task on one batch, with all its learnable parameters."""
    return TrainingObjective(
        lambda: problem.bind(batch), problem.criterion(batch), problem.start(batch), parameters(problem)
    )


def objective_curvature(F: TrainingObjective) -> float:
    """``‖F''(θ)‖`` where θ is, by power iteration on differences of F'; it may be larger elsewhere."""
    here = F.exact(F.theta)
    v = here.gradient
    size = 0.0
    for _ in range(POWERS):
        v = v / vector_norm(v)
        v = (F.exact(here.theta + NUDGE * v).gradient - here.gradient) / NUDGE
        size = vector_norm(v)
    F.move(here.theta)
    return size


@dataclass(frozen=True, slots=True)
class DescentMethod:
    """A way to descend.

    Attributes:
        label: in tables and figures.
        solver: of each step.
        schedule: of its tolerance, if it is ``certified(…)``.
        warm: start each solve where the last one ended.
    """

    label: str
    solver: Solver
    schedule: ToleranceSchedule | None = None
    warm: bool = False


@dataclass(slots=True)
class DescentTrace:
    """What a descent left behind, for each of its steps; points and losses also at the end.

    Attributes:
        exact: θ, F and F' where it was.
        sizes: ``‖g‖``.
        rtols: the relative error that was asked for; nan where none was.
        errors: ``‖g − F'‖`` at most, as certified.
        certified: relative to F', at most.
        actual: ``‖g − F'‖``, by the reference.
        rigorous: whether every certificate was.
        work: applications and vector-Jacobian products until each step is done, as ``Solution.work`` counts them; those
            of audits do not count.
    """

    exact: list[ExactGradient]
    sizes: list[float] = field(default_factory=list[float])
    rtols: list[float] = field(default_factory=list[float])
    errors: list[float] = field(default_factory=list[float])
    certified: list[float] = field(default_factory=list[float])
    actual: list[float] = field(default_factory=list[float])
    rigorous: bool = True
    work: list[float] = field(default_factory=list[float])


def deq_trajectory(F: TrainingObjective, eta: float, steps: int) -> list[ExactGradient]:
    """The DEQ trajectory: ``steps + 1`` points of gradient descent along F', from where θ is."""
    points = [F.exact(F.theta)]
    for _ in range(steps):
        points.append(F.exact(points[-1].theta - eta * points[-1].gradient))
    F.move(points[0].theta)
    return points


def descend(F: TrainingObjective, course: DescentMethod, eta: float, steps: int) -> DescentTrace:
    """Gradient descent from where θ is, which is where it will be left.

    The error of ``certified(…)`` is that of its own certificate; that of others is audited.
    """
    passed = DescentTrace([F.exact(F.theta)])
    begin, x = F.theta, F.start
    for _ in range(steps):
        here = passed.exact[-1]
        F.move(here.theta)
        solver = course.schedule.tighten(course.solver, passed.sizes) if course.schedule else course.solver
        T = F.map()
        solution = solver(T, x, F.loss)
        F.loss(solution.x).backward()
        grads = [torch.zeros_like(p) if p.grad is None else p.grad.detach() for p in F.parameters]
        g = torch.cat([grad.flatten() for grad in grads])
        x = solution.x.detach() if course.warm else x
        if solution.certificates:
            found = solution.certificates[0]
            rtol = course.schedule.rtol(passed.sizes) if course.schedule else math.nan
        else:
            found, rtol = audit(T, solution.x.detach(), F.loss, F.parameters, grads), math.nan
        passed.rtols.append(rtol)
        passed.sizes.append(vector_norm(g))
        passed.errors.append(found.error)
        passed.certified.append(found.relative)
        passed.actual.append(vector_norm(g - here.gradient))
        passed.rigorous &= found.rigorous
        before = passed.work[-1] if passed.work else 0
        passed.work.append(before + solution.work)
        passed.exact.append(F.exact(here.theta - eta * g))
    F.move(begin)
    return passed


def step_size(F: TrainingObjective, steps: int) -> tuple[float, float]:
    """η = 1/G, and G: the largest of ``‖F''‖`` at the start and of ``‖ΔF'‖/‖Δθ‖`` along the DEQ trajectory with that η.

    Trajectories are tried with ever smaller steps until none is found that is larger, eight at most. G is measured, and
    no constant of F.
    """
    G = objective_curvature(F)
    for _ in range(PILOTS):
        largest = max(bends(deq_trajectory(F, 1 / G, steps)), default=0.0)
        if largest <= G:
            break
        G = largest
    return 1 / G, G


def bends(points: Sequence[ExactGradient]) -> list[float]:
    """``‖ΔF'‖/‖Δθ‖`` of each step; 0 where it stands still."""
    return [
        vector_norm(b.gradient - a.gradient) / (vector_norm(b.theta - a.theta) or math.inf)
        for a, b in itertools.pairwise(points)
    ]


def certified_error(eta: float, rhos: Sequence[float], errors: Sequence[float]) -> list[float]:
    """``d_{t+1} = ϱ_t d_t + ηe_t`` from ``d_0 = 0``; that is ``η Σ ϱ^(T−1−t) e_t`` for a constant ϱ."""
    bounds = [0.0]
    for rho, error in zip(rhos, errors, strict=True):
        bounds.append(rho * bounds[-1] + eta * error)
    return bounds


def secants(eta: float, ours: Sequence[ExactGradient], exact: Sequence[ExactGradient]) -> list[float]:
    """``‖(θ − θ') − η(F' − F'')‖ / ‖θ − θ'‖`` at each step; nan where the points agree to 1e-9, which tells nothing."""
    found: list[float] = []
    for a, b in zip(ours, exact, strict=True):
        gap = a.theta - b.theta
        distance = vector_norm(gap)
        moved = vector_norm(gap - eta * (a.gradient - b.gradient))
        found.append(moved / distance if distance > SAME * vector_norm(b.theta) else math.nan)
    return found


def trace_rows(
    F: TrainingObjective, courses: Sequence[DescentMethod], eta: float, steps: int
) -> Iterator[dict[str, object]]:
    """A row for each course and step, the last one without a gradient.

    Columns: ``course, warm, step``; ``rtol``, what a schedule asked for; ``certified`` and ``relative``, the certified
    error and relative to F'; ``actual``, the error by the reference; ``size`` and ``slope``, ``‖g‖`` and ``‖F'‖``;
    ``rigorous``, whether all certificates of the course are; ``work``, applications and products before the step,
    without those of audits; ``loss``, F there, and ``exact_loss`` where the DEQ trajectory is; ``distance`` between the
    two; ``bound_convex`` (ϱ = 1) and ``bound_measured`` (the ϱ of each pair, which is ``secant``; 1 where it is not
    known); ``curvature``, ``‖ΔF'‖/‖Δθ‖`` of the step that follows. What there is not is nan.

    Raises:
        UserError: there is no reference gradient somewhere along the way.
    """
    try:
        exact = deq_trajectory(F, eta, steps)
        for course in courses:
            yield from _rows(course, descend(F, course, eta, steps), exact, eta)
    except NoReference as error:
        raise UserError(
            f"no reference gradient along the trajectory ({error}); try a smaller --eta"
        ) from error


def _rows(
    course: DescentMethod, passed: DescentTrace, exact: list[ExactGradient], eta: float
) -> Iterator[dict[str, object]]:
    measured = secants(eta, passed.exact, exact)
    # The last points have no step after them.
    local = [1.0 if math.isnan(rho) else rho for rho in measured[:-1]]
    convex = certified_error(eta, [1.0] * len(local), passed.errors)
    own = certified_error(eta, local, passed.errors)
    curved = bends(passed.exact)
    for t, (a, b) in enumerate(zip(passed.exact, exact, strict=True)):
        yield {
            "course": course.label,
            "warm": course.warm,
            "step": t,
            "rtol": _at(passed.rtols, t),
            "certified": _at(passed.errors, t),
            "relative": _at(passed.certified, t),
            "actual": _at(passed.actual, t),
            "size": _at(passed.sizes, t),
            "slope": vector_norm(a.gradient),
            "rigorous": passed.rigorous,
            "work": passed.work[t - 1] if t else 0,
            "loss": a.loss,
            "exact_loss": b.loss,
            "distance": vector_norm(a.theta - b.theta),
            "bound_convex": convex[t],
            "bound_measured": own[t],
            "secant": measured[t],
            "curvature": _at(curved, t),
        }


def _at(values: Sequence[float], step: int) -> float:
    return values[step] if step < len(values) else math.nan


def vector_norm(v: Tensor) -> float:
    """``‖v‖``."""
    return float(torch.linalg.vector_norm(v))
