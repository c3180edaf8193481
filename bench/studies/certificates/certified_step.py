"""One training step with its tape, the certificates of its gradient, and their cost."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass, field

from torch import Tensor

from solvers import (
    Certificate,
    DerivativeBounds,
    DerivativeChange,
    HasDerivativeBounds,
    Loss,
    Map,
    Smooth,
    Solver,
    SupportsSelect,
    TapedApplication,
    TapeRecorder,
    WrappedBounds,
    certificate,
    last_backward_pass,
)
from solvers import audit as audited
from solvers._certificates.estimated_bounds import SAFETY, CountedProducts, EstimatedBounds, probe_B_norm
from solvers._certificates.loss_curvature import loss_curvature, loss_derivatives
from solvers._certificates.products import taped

from ...external import ExternalSolver
from ...measurement.jacobian_norm import jacobian_norm
from ...measurement.training import parameters
from ...tasks import Batch, Problem
from ..gradients import flatten, l2_norm, leaf_gradients

L_ROUNDING = 1e-9
"""A Lipschitz constant above 1 minus this counts as 1."""
POWER_STEPS = 50
"""Steps of power iteration for a measured L; each makes two products."""


@dataclass(slots=True)
class StepCost:
    """Applications of T, products with its derivatives, and evaluations of its derivative bounds (``looks``).

    A look costs about as much as an application. Applications and products on a part of the batch count as that
    fraction of it, as in ``solvers.Solution.work``.
    """

    applications: float = 0.0
    products: float = 0.0
    looks: int = 0


@dataclass(frozen=True, slots=True)
class CountingMap:
    """Count the uses of a map, and optionally hide its derivative bounds.

    Attributes:
        T: the map.
        hidden: whether ``regularity`` returns ``None``, so that a caller has to estimate the bounds.
        counts: uses so far.
        fraction: fraction of the batch that this map is applied to.
        batch_size: number of samples in the whole batch, in a list that stays empty until the first application.
    """

    T: Map
    hidden: bool = False
    counts: StepCost = field(default_factory=StepCost)
    fraction: float = 1.0
    batch_size: list[int] = field(default_factory=list[int])

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        y = self.T(x)
        if not self.batch_size:
            self.batch_size.append(len(x))
        self.counts.applications += self.fraction
        if y.grad_fn is not None:
            y.grad_fn.register_prehook(self._count_product)
        return y

    def _count_product(self, cotangents: tuple[Tensor, ...]) -> None:
        self.counts.products += self.fraction

    def select(self, index: Tensor) -> Map:
        """The map of the samples at ``index``."""
        assert isinstance(self.T, SupportsSelect)
        fraction = len(index) / self.batch_size[0] if self.batch_size else self.fraction
        return CountingMap(self.T.select(index), self.hidden, self.counts, fraction, self.batch_size)

    def regularity(self) -> DerivativeBounds | None:
        """The derivative bounds of T, counted; ``None`` if T has none or they are hidden."""
        bounds = self.T.regularity() if isinstance(self.T, HasDerivativeBounds) and not self.hidden else None
        return None if bounds is None else WrappedBounds(bounds, self._count_look)

    def _count_look(self, bounds: DerivativeBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        self.counts.looks += 1
        return bounds.change(x, u, radius)


@dataclass(frozen=True, slots=True, eq=False)
class CertifiedStep:
    """One training step with its tape; every tensor is detached.

    Attributes:
        x: the returned state, ``(B, …)``.
        v: ``∂ℓ/∂x`` at x.
        gradient: one tensor for each parameter.
        taped: the applications that the gradient passed through. Empty for external solvers, whose cotangents no
            ``TapeRecorder`` sees, and for solvers that certify themselves.
        own: the certificate that the solver returned, if it certifies itself.
        applications, products: of T, from ``evaluations`` and ``products`` of ``solvers.Solution``.
    """

    x: Tensor
    v: Tensor
    gradient: tuple[Tensor, ...]
    taped: tuple[TapedApplication, ...]
    own: Certificate | None
    applications: float
    products: float

    @property
    def size(self) -> float:
        """``‖g‖``."""
        return l2_norm(flatten(self.gradient))


def take_step(
    solver: Solver | ExternalSolver, problem: Problem, batch: Batch, T: Map, record: bool = True
) -> CertifiedStep:
    """One training step of ``solver`` with the map T of ``batch``; without ``record``, ``taped`` is empty."""
    problem.operator.zero_grad(set_to_none=True)
    recorder = TapeRecorder(T)
    solution = solver(recorder if record else T, problem.start(batch), problem.criterion(batch))
    cotangents: list[Tensor] = []
    solution.x.register_hook(cotangents.append)
    problem.loss(solution.x, batch).backward()
    return CertifiedStep(
        solution.x.detach(),
        cotangents[-1].detach(),
        leaf_gradients(parameters(problem)),
        tuple(last_backward_pass(recorder.taped)),
        solution.certificates[0] if solution.certificates else None,
        solution.evaluations,
        solution.products,
    )


@dataclass(frozen=True, slots=True)
class Constants:
    """Derivative bounds of T, Lipschitz constants of the loss, and why these are estimates (empty if they are not)."""

    regularity: DerivativeBounds
    smoothness: float
    direct: float
    why: str = ""


def known_constants(T: Map, loss: Loss) -> Constants | str:
    """The constants that a map and a loss state themselves, or one line on why they state none."""
    bounds = T.regularity() if isinstance(T, HasDerivativeBounds) else None
    if bounds is None:
        return "T knows no bounds on its derivatives: --estimate measures them"
    if not isinstance(loss, Smooth):
        return "the loss knows no bound on its curvature: --estimate measures it"
    return Constants(bounds, loss.smoothness, loss.direct)


def measured_constants(T: Map, problem: Problem, batch: Batch, step: CertifiedStep) -> Constants:
    """Constants measured at ``step.x``, each times the safety factor of ``solvers._certificates.estimated_bounds``.

    L comes from power iteration on ``JᵀJ``, ``‖B‖`` from a random cotangent and those of the step. Changes of the
    derivatives of T and of the loss are measured between x and ``T(x)``.
    """
    J_norm = jacobian_norm(T, step.x, POWER_STEPS)
    if isinstance(T, CountingMap):
        T.counts.products += POWER_STEPS  # products with J, which no backward hook of T sees
    products = CountedProducts(parameters(problem))
    tape = taped(T, step.x)
    towards = tape.y.detach() - step.x
    B_norm = probe_B_norm(products, tape)
    for application in step.taped[-1:]:
        assert application.u is not None
        B_norm = max(
            B_norm, l2_norm(products.through(tape, application.u)[1]) / (l2_norm(application.u) or 1.0)
        )

    def loss(x: Tensor) -> Tensor:  # a plain function, so that its curvature is measured
        return problem.loss(x, batch)

    curvature = loss_curvature(loss, step.x, loss_derivatives(loss, step.x), towards)
    why = (
        f"‖J‖ = {J_norm.value:.6g} after {POWER_STEPS} steps of power iteration, with residual "
        f"{J_norm.residual:.1e}; 1/(1−L), ‖B‖ and every change of a derivative were measured, and multiplied by "
        f"{SAFETY:g}"
    )
    bounds = EstimatedBounds(T, products, J_norm.value, B_norm, towards)
    return Constants(bounds, curvature.smoothness, curvature.direct, why)


def step_constants(T: Map, problem: Problem, batch: Batch, step: CertifiedStep) -> Constants:
    """The stated constants where T and the loss state them, measured ones otherwise."""
    constants = known_constants(T, problem.criterion(batch))
    return measured_constants(T, problem, batch, step) if isinstance(constants, str) else constants


def tape_certificate(step: CertifiedStep, constants: Constants) -> Certificate:
    """The certificate of a step from its tape."""
    bound = certificate(
        step.taped, step.x, step.v, constants.regularity, constants.smoothness, constants.direct, step.size
    )
    why = bound.why if math.isinf(bound.error) else constants.why or bound.why
    return dataclasses.replace(bound, why=why)


@dataclass(frozen=True, slots=True)
class TimedAudit:
    """The certificate that an audit found, its cost, and its duration in seconds."""

    found: Certificate
    counts: StepCost
    seconds: float


def timed_audit(
    problem: Problem, batch: Batch, step: CertifiedStep, hidden: bool, sharp: float = 0.5
) -> TimedAudit:
    """Audit the gradient of a step; with ``hidden``, T and the loss hide their constants. ``sharp`` as in ``audit``."""
    T = CountingMap(problem.operator.bind(batch.y, problem.physics), hidden)

    def value(x: Tensor) -> Tensor:
        return problem.loss(x, batch)

    loss = value if hidden else problem.criterion(batch)
    begin = time.perf_counter()
    bound = audited(T, step.x, loss, parameters(problem), step.gradient, sharp)
    return TimedAudit(bound, T.counts, time.perf_counter() - begin)
