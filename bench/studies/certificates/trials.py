"""Trials of certificates: a bound, and the error that it bounds, on crops small enough to make a thousand of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from solvers import Certificate, CertifiedBackward, Solver

from ...config.matrix import load_profile, parse_solver, parse_task
from ...config.profile_schema import profile_names
from ...external import ExternalSolver
from ...measurement.hypergradient import NoReference, reference_gradient
from ...measurement.training import parameters
from ...tasks import Batch, Problem, Task, build_problem
from ...tasks.images import Images, Layout
from ...utils.errors import UserError
from .certified_step import (
    HAIR,
    CertifiedStep,
    Constants,
    CountingMap,
    StepCost,
    flatten,
    known_constants,
    measured_constants,
    plain,
    take,
    timed_audit,
)

SIDES = (24, 32, 48, 64)
"""Crops that are tried, smallest first."""
FURTHER = (
    "deblurring(orientations(smoothing=0.01, ridge=0.02))",
    "inpainting_colour(colours(smoothing=0.01, ridge=0.02))",
    "inpainting(union(smoothing=0.01, ridge=0.02))",
)
"""Contractive tasks that no matrix has, so that every kind of penalty occurs."""
MATRICES = ("quick", "paper")
"""The profiles that the solvers are from."""
NETWORKS = ("deblurring(dncnn)",)
"""Tasks without known constants, for estimates alone."""


@dataclass(frozen=True, slots=True)
class CertificateTrial:
    """A gradient, its bound, and its actual error; norms are absolute.

    Attributes:
        part: ``rigorous`` or ``estimates``.
        task, solver, seed, image, crop: of what; the number of the batch, and its side in pixels.
        matrix: whether the task stands in a profile.
        L: Lipschitz constant known in advance; nan if none is.
        way: ``plain`` or ``audit``.
        status: ``ok``; ``no certificate``, where L is not below 1; ``no reference``, where the oracle found none.
        bound, least: what the certificate says; the error is at most, and at least, as much.
        error, exact: of the gradient, and the norm of the exact one.
        used: the L that the certificate was made with.
        rigorous: what the certificate says of itself.
        applications, products, looks: what the certificate cost.
    """

    part: str
    task: str
    solver: str
    seed: int
    image: int
    crop: int
    matrix: bool
    L: float
    way: str
    status: str = "ok"
    bound: float = math.nan
    least: float = math.nan
    error: float = math.nan
    exact: float = math.nan
    used: float = math.nan
    rigorous: bool = False
    applications: float = 0
    products: float = 0
    looks: int = 0


def matrix_tasks() -> list[str]:
    """The labels of all tasks of all profiles but those whose layers have parameters of their own."""
    parts = (part for name in profile_names() for part in load_profile(name).parts())
    tasks = (parse_task(text) for part in parts for text in part.tasks)
    return list(dict.fromkeys(task.label for task in tasks if not task.prior.layers))


def matrix_solvers(names: tuple[str, ...] = MATRICES) -> list[Solver]:
    """Our solvers of these profiles, each once."""
    texts = (text for name in names for part in load_profile(name).parts() for text in part.solvers)
    found: list[Solver] = []
    for solver in map(parse_solver, texts):
        # What certifies itself is measured in part c.
        if (
            not isinstance(solver, ExternalSolver)
            and not isinstance(solver.backward_mode, CertifiedBackward)
            and solver not in found
        ):
            found.append(solver)
    return found


def smallest_problem(task: Task, images: Images, count: int, seed: int) -> tuple[Problem, int]:
    """The task on ``count`` crops of the smallest side that it admits, and that side.

    Raises:
        UserError: it admits none of ``SIDES``.
    """
    for side in SIDES:
        try:
            return build_problem(task, images, Layout(side, count, 1), seed, dtype=torch.float64), side
        except UserError:
            if side == SIDES[-1]:
                raise
    raise AssertionError


def contractive(task: Task, images: Images) -> float:
    """L where it is known to be below 1 and the bounds are rigorous; nan elsewhere."""
    problem, _ = smallest_problem(task, images, 1, 0)
    made = known_constants(problem.bind(problem.train), problem.criterion(problem.train))
    if isinstance(made, str) or not made.regularity.rigorous or not made.regularity.L < 1 - HAIR:
        return math.nan
    return made.regularity.L


def trial_reference(problem: Problem, batch: Batch) -> Tensor | None:
    """The float64 gradient, or ``None`` where there is none."""
    try:
        return reference_gradient(
            problem.limit(batch),
            parameters(problem),
            problem.start(batch),
            lambda x: problem.loss(x, batch),
        ).gradient
    except NoReference:
        return None


def trials(
    part: str,
    task: str,
    images: Images,
    solvers: Sequence[Solver | ExternalSolver],
    seeds: range,
    count: int = 1,
    size: int = 1,
    matrix: bool = True,
) -> Iterator[CertificateTrial]:
    """Two trials, plain and audit, for each seed, each of ``count`` batches, and each solver.

    Args:
        part: ``rigorous``, or ``estimates``, where map and loss hide what they know.
        task, images, solvers, seeds, count: of what.
        size: crops in a batch.
        matrix: whether the task stands in a profile.
    """
    parsed = parse_task(task)
    for seed in seeds:
        problem, side = smallest_problem(parsed, images, count * size, seed)
        for image in range(count):
            batch = problem.train.select(torch.arange(image * size, (image + 1) * size))
            made = known_constants(problem.bind(batch), problem.criterion(batch))
            L = math.nan if isinstance(made, str) else made.regularity.L
            exact = trial_reference(problem, batch)
            for solver in solvers:
                first = CertificateTrial(
                    part, parsed.label, solver.label, seed, image, side, matrix, L, "plain"
                )
                if exact is None:
                    yield from (dataclasses.replace(first, way=way, status="no reference") for way in WAYS)
                else:
                    yield from _both(first, problem, batch, solver, exact)


WAYS = ("plain", "audit")


def _both(
    first: CertificateTrial, problem: Problem, batch: Batch, solver: Solver | ExternalSolver, exact: Tensor
) -> Iterator[CertificateTrial]:
    hidden = first.part == "estimates"
    T = CountingMap(problem.bind(batch), hidden)
    step = take(solver, problem, batch, problem.bind(batch))
    first = dataclasses.replace(
        first,
        error=float(torch.linalg.vector_norm(flatten(step.gradient) - exact)),
        exact=float(torch.linalg.vector_norm(exact)),
    )
    constants = _constants(T, problem, batch, step)
    if not constants.regularity.L < 1:
        yield from (
            dataclasses.replace(first, way=way, status="no certificate", used=constants.regularity.L)
            for way in WAYS
        )
        return
    yield _told(first, plain(step, constants), T.counts)
    audit = timed_audit(problem, batch, step, hidden)
    yield _told(dataclasses.replace(first, way="audit"), audit.found, audit.counts)


def _constants(T: CountingMap, problem: Problem, batch: Batch, step: CertifiedStep) -> Constants:
    made = known_constants(T, problem.criterion(batch))
    return measured_constants(T, problem, batch, step) if isinstance(made, str) else made


def _told(trial: CertificateTrial, found: Certificate, counts: StepCost) -> CertificateTrial:
    status = "ok" if math.isfinite(found.error) else "no certificate"
    return dataclasses.replace(
        trial,
        status=status,
        bound=found.error,
        least=found.least,
        used=found.L,
        rigorous=found.rigorous,
        **asdict(counts),
    )
