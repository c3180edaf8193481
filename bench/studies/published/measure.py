"""Measure one row: its gradient against the reference, what it cost, and what is said of its error."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from enum import Enum

from solvers import Certificate, Solution, audit

from ...measurement.training import parameters, training_step
from ...tasks import Problem
from ..gradients import leaf_gradients, parameter_gradient
from .reference import Reference
from .rows import Row

AUDIT = 500
"""Applications and products of an audit at most."""


class Basis(Enum):
    """Where a statement on the error comes from; the value is what tables say."""

    NONE = "–"
    OWN = "its own"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Measured:
    """A row on a regulariser with a seed.

    Attributes:
        applications, vjps: applications of T, or evaluations of the energy's gradient, and vector–Jacobian or Hessian
            products, each weighted by the share of the batch that it was made on.
        error: ``‖g − F'‖ / ‖F'‖``, F' the reference.
        cosine: between g and F'.
        scaled: error of the best multiple of g.
        stated: upper end of the error by ``basis``, relative, nan if there is none; a bound only if ``rigorous``.
        converged: whether all solves with a tolerance met it.
        seconds: of the process, on one thread.
        reference: estimated error of the reference.
    """

    applications: float
    vjps: float
    error: float
    cosine: float
    scaled: float
    stated: float
    basis: str
    rigorous: bool
    converged: bool
    seconds: float
    reference: float
    energy_share: float

    def columns(self) -> dict[str, object]:
        """For a JSON file."""
        return asdict(self)


def measure(row: Row, problem: Problem, reference: Reference) -> Measured:
    """The gradient of the training loss at the parameters of the problem, by the solver of a row.

    Raises:
        UserError: the solver does not admit the operator.
    """
    began = time.process_time()
    solution, _ = training_step(row.solver, problem, problem.train)
    seconds = time.process_time() - began
    g, exact = parameter_gradient(problem), reference.gradient
    size = float(g.norm())
    cosine = float(g @ exact) / (size * float(exact.norm())) if size else math.nan
    basis, certificate = _statement(row, problem, solution)
    return Measured(
        applications=solution.evaluations,
        vjps=solution.products,
        error=float((g - exact).norm() / exact.norm()),
        cosine=cosine,
        scaled=math.sqrt(max(0.0, 1 - cosine * cosine)),
        stated=math.nan if certificate is None else certificate.relative,
        basis=basis.value,
        rigorous=certificate is not None and certificate.rigorous,
        converged=solution.converged,
        seconds=seconds,
        reference=reference.error,
        energy_share=reference.energy_share,
    )


def _statement(row: Row, problem: Problem, solution: Solution) -> tuple[Basis, Certificate | None]:
    if solution.certificates:
        return Basis.OWN, solution.certificates[0]
    if not row.audited:
        return Basis.NONE, None
    learnable = parameters(problem)
    gradient = leaf_gradients(learnable)
    batch = problem.train
    loss = problem.criterion(batch)
    return Basis.AUDIT, audit(
        problem.bind(batch), solution.x.detach(), loss, learnable, gradient, budget=AUDIT
    )
