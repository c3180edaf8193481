"""Gradient descent with estimated and with exact gradients, and the bound on their distance of THEORY C12.

``θ_{t+1} = θ_t − ηg_t`` on one batch, from the same start, for each estimator and for the exact gradient F'. With
``e_t ≥ ‖g_t − F'(θ_t)‖`` from a certificate, the distance of the two trajectories is at most

    d_T ≤ η Σ_{t<T} ϱ^(T−1−t) e_t        if   ‖(θ − θ') − η(F'(θ) − F'(θ'))‖ ≤ ϱ‖θ − θ'‖   (PROOFS S9)

at each pair of points of the same step. ϱ = 1 for a convex F and η ≤ 2/G; convexity is an assumption. With the ϱ
measured at each pair the bound holds whatever F is, if the certificates hold; but it needs the other trajectory, so it
is a check and no prediction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from solvers import Solver, ToleranceSchedule, audit
from solvers.optimisers import BilevelObjective

from ...measurement.hypergradient import NoReference, reference_gradient
from ...utils.errors import UserError
from ..gradients import flatten, l2_norm, leaf_gradients

POWERS = 12
"""Steps of power iteration for the curvature at the start."""
NUDGE = 1e-4
"""Distance of the points between which it differences F'."""
PILOTS = 8
"""Largest number of trajectories that are tried for a step size."""
SAME = 1e-9
"""Relative distance below which two points count as one."""


@dataclass(frozen=True, slots=True)
class ExactGradient:
    """F and F' at θ."""

    theta: Tensor
    loss: float
    gradient: Tensor


def exact_gradient(F: BilevelObjective, theta: Tensor) -> ExactGradient:
    """Move to θ, and compute F and F' there. Raises ``NoReference``."""
    F.move(theta)
    values: list[float] = []

    def loss(x: Tensor) -> Tensor:
        value = F.loss(x)
        values.append(float(value.detach()))
        return value

    gradient = reference_gradient(F.map(), F.parameters, F.start, loss).gradient
    return ExactGradient(theta, values[-1], gradient)


def objective_curvature(F: BilevelObjective) -> float:
    """``‖F''(θ)‖`` at the present θ, by power iteration on differences of F'; it may be larger elsewhere."""
    start = exact_gradient(F, F.theta())
    v = start.gradient
    size = 0.0
    for _ in range(POWERS):
        v = v / l2_norm(v)
        v = (exact_gradient(F, start.theta + NUDGE * v).gradient - start.gradient) / NUDGE
        size = l2_norm(v)
    F.move(start.theta)
    return size


@dataclass(frozen=True, slots=True)
class DescentMethod:
    """A solver with its settings for a descent.

    Attributes:
        label: in tables and figures.
        solver: of each step.
        schedule: of its tolerance, if it is ``certified(…)``.
        warm: start each solve at the last solution.
    """

    label: str
    solver: Solver
    schedule: ToleranceSchedule | None = None
    warm: bool = False


@dataclass(frozen=True, slots=True)
class DescentStep:
    """One step of a descent; nan for values that do not exist.

    Attributes:
        rtol: relative error that the schedule asks for.
        certified, relative: certified bound on ``‖g − F'‖``, and relative to F'.
        actual: ``‖g − F'‖`` by the reference.
        size: ``‖g‖``.
        rigorous: whether the certificate is a proven bound.
        work: ``Solution.work`` of all steps so far, without audits.
    """

    rtol: float = math.nan
    certified: float = math.nan
    relative: float = math.nan
    actual: float = math.nan
    size: float = math.nan
    rigorous: bool = True
    work: float = 0


@dataclass(frozen=True, slots=True)
class DescentTrace:
    """The steps of a descent, and its points: one more."""

    points: list[ExactGradient]
    steps: list[DescentStep] = field(default_factory=list[DescentStep])

    @property
    def errors(self) -> list[float]:
        """The certified error of each step."""
        return [step.certified for step in self.steps]

    @property
    def rigorous(self) -> bool:
        """Whether every certificate is a proven bound."""
        return all(step.rigorous for step in self.steps)


def deq_trajectory(F: BilevelObjective, eta: float, steps: int) -> list[ExactGradient]:
    """The DEQ trajectory: ``steps + 1`` points of gradient descent with F', from the present θ."""
    points = [exact_gradient(F, F.theta())]
    for _ in range(steps):
        points.append(exact_gradient(F, points[-1].theta - eta * points[-1].gradient))
    F.move(points[0].theta)
    return points


def descend(F: BilevelObjective, method: DescentMethod, eta: float, steps: int) -> DescentTrace:
    """Gradient descent from the present θ, which is restored at the end.

    Errors are those of the solver's own certificate if it makes one; gradients of other solvers are audited.
    """
    trace = DescentTrace([exact_gradient(F, F.theta())])
    begin, x, schedule = F.theta(), F.start, method.schedule
    sizes: list[float] = []
    work = 0.0
    for _ in range(steps):
        point = trace.points[-1]
        F.move(point.theta)
        solver = schedule.tighten(method.solver, sizes) if schedule else method.solver
        T = F.map()
        solution = solver(T, x, F.loss)
        F.loss(solution.x).backward()
        gradients = leaf_gradients(F.parameters)
        g = flatten(gradients)
        if method.warm:
            x = solution.x.detach()
        if solution.certificates:
            bound = solution.certificates[0]
            rtol = schedule.rtol(sizes) if schedule else math.nan
        else:
            bound, rtol = audit(T, solution.x.detach(), F.loss, F.parameters, gradients), math.nan
        work += solution.work
        sizes.append(l2_norm(g))
        actual = l2_norm(g - point.gradient)
        trace.steps.append(
            DescentStep(rtol, bound.error, bound.relative, actual, sizes[-1], bound.rigorous, work)
        )
        trace.points.append(exact_gradient(F, point.theta - eta * g))
    F.move(begin)
    return trace


def step_size(F: BilevelObjective, steps: int) -> tuple[float, float]:
    """η = 1/G, and G: the largest of ``‖F''‖`` at the start and ``‖ΔF'‖/‖Δθ‖`` on the DEQ trajectory with that η.

    Smaller and smaller steps are tried until no larger ratio is found, at most eight. G is measured, and no bound.
    """
    G = objective_curvature(F)
    for _ in range(PILOTS):
        largest = max(curvatures(deq_trajectory(F, 1 / G, steps)), default=0.0)
        if largest <= G:
            break
        G = largest
    return 1 / G, G


def curvatures(points: Sequence[ExactGradient]) -> list[float]:
    """``‖ΔF'‖/‖Δθ‖`` of each step; 0 if θ does not move."""
    return [
        l2_norm(b.gradient - a.gradient) / (l2_norm(b.theta - a.theta) or math.inf)
        for a, b in itertools.pairwise(points)
    ]


def certified_error(eta: float, rhos: Sequence[float], errors: Sequence[float]) -> list[float]:
    """``d_{t+1} = ϱ_t d_t + ηe_t`` from ``d_0 = 0``; equal to ``η Σ ϱ^(T−1−t) e_t`` for a constant ϱ."""
    bounds = [0.0]
    for rho, error in zip(rhos, errors, strict=True):
        bounds.append(rho * bounds[-1] + eta * error)
    return bounds


def secants(eta: float, points: Sequence[ExactGradient], exact: Sequence[ExactGradient]) -> list[float]:
    """``‖(θ − θ') − η(F' − F'')‖ / ‖θ − θ'‖`` at each step; nan if the points agree up to ``SAME``."""
    rhos: list[float] = []
    for a, b in zip(points, exact, strict=True):
        gap = a.theta - b.theta
        distance = l2_norm(gap)
        moved = l2_norm(gap - eta * (a.gradient - b.gradient))
        rhos.append(moved / distance if distance > SAME * l2_norm(b.theta) else math.nan)
    return rhos


def trace_rows(
    F: BilevelObjective, methods: Sequence[DescentMethod], eta: float, steps: int
) -> Iterator[dict[str, object]]:
    """A row for each descent and point; the last point has no step, and nan in its columns.

    Columns: ``course, warm, step``; ``rtol, certified, relative, actual, size`` of the step, see ``DescentStep``;
    ``slope``, ``‖F'‖``; ``rigorous``, of the whole descent; ``work`` before the step; ``loss``, F, and ``exact_loss``,
    F on the DEQ trajectory; ``distance`` to it; ``bound_convex`` (ϱ = 1) and ``bound_measured`` (ϱ = ``secant``, or 1
    if that is nan); ``curvature``, ``‖ΔF'‖/‖Δθ‖`` of the step.

    Raises:
        UserError: there is no reference gradient at some point.
    """
    try:
        exact = deq_trajectory(F, eta, steps)
        for method in methods:
            yield from _rows(method, descend(F, method, eta, steps), exact, eta)
    except NoReference as error:
        raise UserError(
            f"no reference gradient along the trajectory ({error}); try a smaller --eta"
        ) from error


def _rows(
    method: DescentMethod, trace: DescentTrace, exact: list[ExactGradient], eta: float
) -> Iterator[dict[str, object]]:
    rhos = secants(eta, trace.points, exact)
    known_rhos = [1.0 if math.isnan(rho) else rho for rho in rhos[:-1]]
    convex = certified_error(eta, [1.0] * len(known_rhos), trace.errors)
    measured = certified_error(eta, known_rhos, trace.errors)
    curved = [*curvatures(trace.points), math.nan]
    steps = [*trace.steps, DescentStep()]
    for t, (a, b, step) in enumerate(zip(trace.points, exact, steps, strict=True)):
        yield {
            "course": method.label,
            "warm": method.warm,
            "step": t,
            **{name: getattr(step, name) for name in ("rtol", "certified", "relative", "actual", "size")},
            "slope": l2_norm(a.gradient),
            "rigorous": trace.rigorous,
            "work": trace.steps[t - 1].work if t else 0,
            "loss": a.loss,
            "exact_loss": b.loss,
            "distance": l2_norm(a.theta - b.theta),
            "bound_convex": convex[t],
            "bound_measured": measured[t],
            "secant": rhos[t],
            "curvature": curved[t],
        }
