"""One training step with what its tape left behind, its certificates, and what they cost."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
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
    last_backward_pass,
)
from solvers import audit as audited
from solvers import certificate as certified
from solvers._certificates.estimated_bounds import SAFETY, CountedProducts, EstimatedBounds, probe_B_norm
from solvers._certificates.loss_curvature import loss_curvature, loss_derivatives
from solvers._certificates.products import taped

from ...external import ExternalSolver
from ...measurement.jacobian_norm import jacobian_norm
from ...measurement.training import parameters
from ...tasks import Batch, Problem

HAIR = 1e-9
"""A Lipschitz constant this near to 1 is 1, rounded."""
POWER_STEPS = 50
"""Of power iteration, two products each, where L is measured."""


@dataclass(slots=True)
class StepCost:
    """Applications of T, products with its derivatives, and looks at its regularity (about an application each).

    Each is counted as the share of the batch that it was made on, as in ``solvers.Solution.work``.
    """

    applications: float = 0.0
    products: float = 0.0
    looks: int = 0


@dataclass(frozen=True, slots=True)
class CountingMap:
    """A map that is counted, and that can be made to forget what it knows of itself.

    Attributes:
        T: the map.
        hidden: whether it keeps its regularity to itself, so that whoever asks has to estimate.
        counts: so far.
        share: of the batch, that it is applied to.
        whole: samples in the batch, once it was applied to them.
    """

    T: Map
    hidden: bool = False
    counts: StepCost = field(default_factory=StepCost)
    share: float = 1.0
    whole: list[int] = field(default_factory=list[int])

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        y = self.T(x)
        if not self.whole:
            self.whole.append(len(x))
        self.counts.applications += self.share
        if y.grad_fn is not None:
            y.grad_fn.register_prehook(self._pulled)
        return y

    def _pulled(self, cotangents: tuple[Tensor, ...]) -> None:
        self.counts.products += self.share

    def select(self, index: Tensor) -> Map:
        """The map of the samples at ``index`` alone; all of them where T cannot be divided."""
        assert isinstance(self.T, SupportsSelect)
        share = len(index) / self.whole[0] if self.whole else self.share
        return CountingMap(self.T.select(index), self.hidden, self.counts, share, self.whole)

    def regularity(self) -> DerivativeBounds | None:
        """That of T, unless it is hidden."""
        known = self.T.regularity() if isinstance(self.T, HasDerivativeBounds) and not self.hidden else None
        return None if known is None else WrappedBounds(known, self._looked)

    def _looked(self, known: DerivativeBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        self.counts.looks += 1
        return known.change(x, u, radius)


@dataclass(frozen=True, slots=True, eq=False)
class CertifiedStep:
    """One training step and what its tape left behind; nothing of it is on a tape any more.

    Attributes:
        x: the state that was returned, ``(B, …)``.
        v: ``∂ℓ/∂x`` there.
        gradient: one tensor for each parameter.
        taped: the applications that the gradient passed through; empty for peers, which exchange cotangents out of
            sight of a ``TapeRecorder``, and for solvers that certify themselves.
        own: the certificate that the solver made by itself, if it does.
        applications, products: of T, as ``solvers.Solution`` counts ``evaluations`` and ``products``.
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
        return _norm(flatten(self.gradient))


def take(
    solver: Solver | ExternalSolver, problem: Problem, batch: Batch, T: Map, watched: bool = True
) -> CertifiedStep:
    """A training step of ``solver`` at the parameters of this moment.

    Args:
        solver, problem, batch: whose, of what, on what.
        T: the map of ``batch``, as the solver is to be given it.
        watched: whether its tape is to be kept; where it is not, ``taped`` is empty.
    """
    problem.operator.zero_grad(set_to_none=True)
    watch = TapeRecorder(T)
    solution = solver(watch if watched else T, problem.start(batch), problem.criterion(batch))
    cotangents: list[Tensor] = []
    solution.x.register_hook(cotangents.append)
    problem.loss(solution.x, batch).backward()
    learned = parameters(problem)
    return CertifiedStep(
        solution.x.detach(),
        cotangents[-1].detach(),
        tuple(torch.zeros_like(p) if p.grad is None else p.grad.detach().clone() for p in learned),
        tuple(last_backward_pass(watch.taped)),
        solution.certificates[0] if solution.certificates else None,
        solution.evaluations,
        solution.products,
    )


@dataclass(frozen=True, slots=True)
class Constants:
    """What a certificate is made with: of T, of the loss, and why they are no bounds if they are not."""

    regularity: DerivativeBounds
    smoothness: float
    direct: float
    why: str = ""


def measured_constants(
    T: Map, problem: Problem, batch: Batch, step: CertifiedStep, power: int = POWER_STEPS
) -> Constants:
    """Constants as observed at ``step.x``, each times the safety factor of ``solvers._certificates.estimated_bounds``.

    L by power iteration on ``JᵀJ``; ``‖B‖`` by a probe and by the cotangents of the step; what the derivatives may
    do by what they do towards ``T(x)``; those of the loss likewise.
    """
    norm = jacobian_norm(T, step.x, power)
    if isinstance(T, CountingMap):
        T.counts.products += power  # those with J, which are derivatives of the others
    pulls = CountedProducts(parameters(problem))
    tape = taped(T, step.x)
    towards = tape.y.detach() - step.x
    parametric = probe_B_norm(pulls, tape)
    for kept in step.taped[-1:]:
        assert kept.u is not None
        parametric = max(parametric, _norm(pulls.through(tape, kept.u)[1]) / (_norm(kept.u) or 1.0))

    def loss(x: Tensor) -> Tensor:  # which does not say what it knows of itself
        return problem.loss(x, batch)

    bent = loss_curvature(loss, step.x, loss_derivatives(loss, step.x), towards)
    why = (
        f"‖J‖ = {norm.value:.6g} after {power} steps of power iteration, with residual {norm.residual:.1e}; "
        f"1/(1−L), ‖B‖ and every change of a derivative were measured, and multiplied by {SAFETY:g}"
    )
    return Constants(
        EstimatedBounds(T, pulls, norm.value, parametric, towards), bent.smoothness, bent.direct, why
    )


def plain(step: CertifiedStep, constants: Constants) -> Certificate:
    """The certificate of a step from what its tape left behind."""
    made = certified(
        step.taped, step.x, step.v, constants.regularity, constants.smoothness, constants.direct, step.size
    )
    return dataclasses.replace(made, why=made.why if math.isinf(made.error) else constants.why or made.why)


def known_constants(T: Map, loss: Loss) -> Constants | str:
    """The constants of a map and a loss that know them; or in a line, why there are none."""
    regularity = T.regularity() if isinstance(T, HasDerivativeBounds) else None
    if regularity is None:
        return "T knows no bounds on its derivatives: --estimate measures them"
    if not isinstance(loss, Smooth):
        return "the loss knows no bound on its curvature: --estimate measures it"
    return Constants(regularity, loss.smoothness, loss.direct)


@dataclass(frozen=True, slots=True)
class Timed:
    """A certificate, and what it cost."""

    found: Certificate
    counts: StepCost
    seconds: float


def timed_audit(
    problem: Problem, batch: Batch, step: CertifiedStep, hidden: bool, budget: int = 2000
) -> Timed:
    """The audit of the gradient of a step; with ``hidden`` neither T nor the loss tells what it knows."""
    T = CountingMap(problem.operator.bind(batch.y, problem.physics), hidden)

    def value(x: Tensor) -> Tensor:
        return problem.loss(x, batch)

    loss = value if hidden else problem.criterion(batch)
    begin = time.perf_counter()
    found = audited(T, step.x, loss, parameters(problem), step.gradient, budget=budget)
    return Timed(found, T.counts, time.perf_counter() - begin)


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """All entries in a row."""
    return torch.cat([t.flatten() for t in tensors])


def _norm(x: Tensor) -> float:
    return float(torch.linalg.vector_norm(x))
