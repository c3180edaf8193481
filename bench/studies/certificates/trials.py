"""Trials of certificates: a bound and the error that it bounds, on crops small enough for a thousand trials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from solvers import Certificate, CertifiedBackward, Solver

from ...config.call_syntax import method_label
from ...config.matrix import load_profile, parse_solver, parse_task
from ...config.profile_schema import profile_names
from ...external import ExternalSolver
from ...measurement.hypergradient import NoReference
from ...tasks import Batch, Problem, Task, build_problem
from ...tasks.images import Images, Layout
from ...utils.errors import UserError
from ..gradients import exact_gradient, flatten, l2_norm
from .certified_step import (
    L_ROUNDING,
    CountingMap,
    StepCost,
    known_constants,
    step_constants,
    take_step,
    tape_certificate,
    timed_audit,
)

SIDES = (24, 32, 48, 64)
"""Sides of crops in pixels; the smallest that a task admits is used."""
FURTHER = (
    "deblurring(orientations(smoothing=0.01, ridge=0.02))",
    "inpainting_colour(colours(smoothing=0.01, ridge=0.02))",
    "inpainting(union(smoothing=0.01, ridge=0.02))",
)
"""Contractive tasks beside those of the profiles, so that every kind of penalty occurs."""
MATRICES = ("quick", "operators", "paper")
"""Profiles whose solvers are tried."""
NETWORKS = ("deblurring(dncnn)",)
"""Tasks without known constants, for estimates alone."""
WAYS = ("plain", "audit")


@dataclass(frozen=True, slots=True)
class CertificateTrial:
    """A gradient, its bound, and its actual error; norms are absolute.

    Attributes:
        part: ``rigorous`` or ``estimates``.
        task, solver, seed: of the step; the task names its operator unless that is forward–backward.
        image, crop: number of the batch, and side of its crops in pixels.
        matrix: whether a profile has the task.
        L: Lipschitz constant known in advance; nan if none is.
        way: ``plain`` (certificate of the tape) or ``audit``.
        status: ``ok``; ``no certificate`` if L is not below 1; ``no reference`` if there is no exact gradient.
        bound, least: upper and lower bound on the error, by the certificate.
        error, exact: norm of the actual error, and of the exact gradient.
        used: the L of the certificate.
        rigorous: whether the certificate is a proven bound.
        applications, products, looks: cost of the certificate.
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
    """Labels of the tasks of all profiles, without those whose layers have parameters of their own."""
    parts = (part for name in profile_names() for part in load_profile(name).parts())
    tasks = (parse_task(text) for part in parts for text in part.tasks)
    return list(dict.fromkeys(task.label for task in tasks if not task.prior.layers))


def matrix_solvers() -> list[Solver]:
    """The solvers of ``MATRICES``, each once, without external ones and those that certify themselves."""
    texts = (text for name in MATRICES for part in load_profile(name).parts() for text in part.solvers)
    solvers = dict.fromkeys(solver for solver in map(parse_solver, texts) if isinstance(solver, Solver))
    return [solver for solver in solvers if not isinstance(solver.backward_mode, CertifiedBackward)]


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


def known_contraction(task: Task, images: Images) -> float:
    """L, if it is known to be below 1 and the derivative bounds are rigorous; nan otherwise."""
    problem, _ = smallest_problem(task, images, 1, 0)
    constants = known_constants(problem.bind(problem.train), problem.criterion(problem.train))
    if isinstance(constants, str):
        return math.nan
    bounds = constants.regularity
    return bounds.L if bounds.rigorous and bounds.L < 1 - L_ROUNDING else math.nan


def trial_reference(problem: Problem, batch: Batch) -> Tensor | None:
    """The exact gradient, as one vector; ``None`` if there is no reference."""
    try:
        return exact_gradient(problem, batch)
    except NoReference:
        return None


def trials(
    part: str,
    task: Task,
    images: Images,
    solvers: Sequence[Solver | ExternalSolver],
    seeds: range,
    count: int = 1,
    size: int = 1,
    matrix: bool = True,
) -> Iterator[CertificateTrial]:
    """Two trials, plain and audit, for each seed, each of ``count`` batches of ``size`` crops, and each solver.

    In the part ``estimates``, map and loss hide their constants. ``matrix``: whether a profile has the task.
    """
    label = method_label(task.label, task.splitting.label)
    for seed in seeds:
        problem, side = smallest_problem(task, images, count * size, seed)
        for image in range(count):
            batch = problem.train.select(torch.arange(image * size, (image + 1) * size))
            constants = known_constants(problem.bind(batch), problem.criterion(batch))
            L = math.nan if isinstance(constants, str) else constants.regularity.L
            exact = trial_reference(problem, batch)
            for solver in solvers:
                trial = CertificateTrial(part, label, solver.label, seed, image, side, matrix, L, "plain")
                if exact is None:
                    yield from (replace(trial, way=way, status="no reference") for way in WAYS)
                else:
                    yield from _tried(trial, problem, batch, solver, exact)


def _tried(
    trial: CertificateTrial, problem: Problem, batch: Batch, solver: Solver | ExternalSolver, exact: Tensor
) -> Iterator[CertificateTrial]:
    hidden = trial.part == "estimates"
    T = CountingMap(problem.bind(batch), hidden)
    step = take_step(solver, problem, batch, problem.bind(batch))
    trial = replace(trial, error=l2_norm(flatten(step.gradient) - exact), exact=l2_norm(exact))
    constants = step_constants(T, problem, batch, step)
    L = constants.regularity.L
    if not L < 1:
        yield from (replace(trial, way=way, status="no certificate", used=L) for way in WAYS)
        return
    yield _with_certificate(trial, tape_certificate(step, constants), T.counts)
    audit = timed_audit(problem, batch, step, hidden)
    yield _with_certificate(replace(trial, way="audit"), audit.found, audit.counts)


def _with_certificate(trial: CertificateTrial, bound: Certificate, counts: StepCost) -> CertificateTrial:
    return replace(
        trial,
        status="ok" if math.isfinite(bound.error) else "no certificate",
        bound=bound.error,
        least=bound.least,
        used=bound.L,
        rigorous=bound.rigorous,
        **asdict(counts),
    )
