"""How much work a cell is before it has been run: evaluations of T and of its products, and the numbers in them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

import torch

from solvers import Solver

from ..config.matrix import Cell
from ..config.profile_schema import Profile
from ..external import ExternalSolver
from ..records.record import Kind, Record
from ..utils.errors import UserError

NORM_STEPS = 100
"""Products in the estimate of the norm of a Jacobian."""
REFERENCE = 200
"""Evaluations at most, as a guess, of a reference gradient."""
TOY = 0.9
"""Factor by which the toy contracts that counts what a solver does."""


@dataclass(frozen=True, slots=True)
class OperationCounts:
    """Of one solve: applications of T, those on the tape, and vector-Jacobian products, in whole batches."""

    applications: float = 100.0
    taped_applications: float = 10.0
    vjps: float = 50.0


@dataclass(frozen=True, slots=True)
class PastWork:
    """What records say of solvers and tasks, beside seconds.

    Attributes:
        counts: by task and solver, and by solver alone under ``("", solver)``.
        settled: applications until an equilibrium, by task.
        contraction: the factor by which an application contracts, by task.
    """

    counts: dict[tuple[str, str], OperationCounts] = field(
        default_factory=dict[tuple[str, str], OperationCounts]
    )
    settled: dict[str, float] = field(default_factory=dict[str, float])
    contraction: dict[str, float] = field(default_factory=dict[str, float])


def past_work(records: Iterable[Record]) -> PastWork:
    """What is in quality records; medians where there are several."""
    counts: dict[tuple[str, str], list[OperationCounts]] = {}
    settled: dict[str, list[float]] = {}
    contraction: dict[str, list[float]] = {}
    for record in records:
        values = record.values
        if record.kind != "quality" or record.status != "ok" or values.get("applications") is None:
            continue
        one = OperationCounts(values["applications"], values["recorded"], values["vjps"])
        for who in ((record.task, record.solver), ("", record.solver)):
            counts.setdefault(who, []).append(one)
        if values.get("equilibrium_applications"):
            settled.setdefault(record.task, []).append(values["equilibrium_applications"])
        factor = values.get("contraction") or values.get("jacobian_norm")
        if factor:
            contraction.setdefault(record.task, []).append(factor)
    return PastWork(
        {who: _middle(several) for who, several in counts.items()},
        {task: median(several) for task, several in settled.items()},
        {task: median(several) for task, several in contraction.items()},
    )


def _middle(several: list[OperationCounts]) -> OperationCounts:
    names = ("applications", "recorded", "vjps")
    return OperationCounts(*(median(getattr(one, name) for one in several) for name in names))


def counts_of(cell: Cell, seen: PastWork) -> OperationCounts:
    """What a solve takes: as recorded on this task, as counted on a toy, or as recorded on another task."""
    who = (cell.task.label, cell.solver.label)
    if found := seen.counts.get(who):
        return found
    toy = _on_a_toy(cell.solver)
    elsewhere = seen.counts.get(("", cell.solver.label))
    # A solver that stops by a rule takes as long as its task wants; the others count the same everywhere.
    if toy is not None and (elsewhere is None or toy.applications == elsewhere.applications):
        return toy
    return elsewhere or OperationCounts()


@functools.cache
def _on_a_toy(solver: Solver | ExternalSolver) -> OperationCounts | None:
    """``None`` for a peer that runs on nothing but its own operators."""
    shift = torch.full((1, 1, 4, 4), 0.3, dtype=torch.float64, requires_grad=True)
    start = torch.zeros_like(shift, requires_grad=False)
    try:
        found = solver(lambda x: TOY * x.tanh() + shift, start, lambda x: x.square().sum())
        found.x.square().sum().backward()
    except (UserError, TypeError, AttributeError):
        return None
    return OperationCounts(found.evaluations, found.taped_applications, found.products)


@dataclass(frozen=True, slots=True)
class CellWorkload:
    """What a cell computes.

    Attributes:
        evaluations: applications and products, each on one image.
        numbers: in an image: channels × pixels.
        taped: numbers that stand on the tape at once, in images; the batch is in it.
        batch: images in a training step.
    """

    evaluations: float
    numbers: int
    taped: float
    batch: int

    @property
    def size(self) -> float:
        """What seconds are proportional to."""
        return self.evaluations * self.numbers


def work_of(cell: Cell, profile: Profile, kind: Kind, seen: PastWork) -> CellWorkload:
    """The work of a quality cell, all in all, or of one training step."""
    counts = counts_of(cell, seen)
    images, training, table = profile.images, profile.training, profile.equilibrium
    batch = min(training.batch, images.train)
    step = batch * (counts.applications + counts.vjps)
    numbers = cell.task.channels * images.crop**2
    if kind == "cost":
        return CellWorkload(step, numbers, batch * counts.taped_applications, batch)
    # Two steps for the gradient, its tape and its peak, and one for each further draw; a reference in float64 for each;
    # then training, then the test.
    draws = profile.oracle.draws if profile.oracle.budget else 1
    total = step * (1 + draws + training.steps) + batch * draws * min(profile.oracle.budget, REFERENCE)
    if training.steps:
        settled = seen.settled.get(cell.task.label, min(table.budget, REFERENCE))
        past = min(100 * counts.applications, table.max_applications, _settles(cell, profile, seen))
        looks = -(-training.steps // training.eval_every) if training.eval_every else 0
        stays = min(table.budget, table.max_applications)
        total += images.test * (counts.applications * (1 + looks) + settled + past + stays + NORM_STEPS)
        total += images.validation * (counts.applications + settled)
        total += settled * min(images.train, table.train_images or images.train)
    return CellWorkload(total, numbers, batch * counts.taped_applications, batch)


def _settles(cell: Cell, profile: Profile, seen: PastWork) -> float:
    """Plain iterations until an iterate no longer moves, to rounding."""
    factor = seen.contraction.get(cell.task.label, 1.0)
    if not 0 < factor < 1:
        return math.inf
    eps = torch.finfo(getattr(torch, profile.dtype)).eps
    return math.log(10 * eps) / math.log(factor)
