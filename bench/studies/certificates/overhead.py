"""Seconds of a training step with and without a certificate, in interleaved pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from ...config.matrix import parse_solver, parse_task
from ...measurement.training import training_step
from ...tasks import build_problem
from ...tasks.images import Images, Layout
from .certified_step import known_constants, take_step, tape_certificate, timed_audit

WARM_UP = 2
"""Pairs before the first that is timed."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds of both halves of each pair.

    Attributes:
        part: ``overhead``.
        task, solver, crop, dtype: of the step.
        way: ``itself``, ``plain`` or ``audit``: the step again, the step with the certificate of its tape, or the audit
            alone.
        seconds: of ``way``.
        floor: of the step without a certificate.
    """

    part: str
    task: str
    solver: str
    crop: int
    dtype: str
    way: str
    seconds: list[float] = field(default_factory=list[float])
    floor: list[float] = field(default_factory=list[float])


def overhead(
    task: str, solver: str, images: Images, crop: int, rounds: int, dtype: str = "float64"
) -> Iterator[Overhead]:
    """A row for each ``way``; which half of a pair runs first alternates."""
    problem = build_problem(parse_task(task), images, Layout(crop, 1, 1), 0, dtype=getattr(torch, dtype))
    batch, chosen = problem.train, parse_solver(solver)
    taken = take_step(chosen, problem, batch, problem.bind(batch), record=False)

    def step() -> None:
        training_step(chosen, problem, batch)

    def certified_step() -> None:
        T = problem.bind(batch)
        constants = known_constants(T, problem.criterion(batch))
        if isinstance(constants, str):
            raise ValueError(f"{task}: {constants}")
        tape_certificate(take_step(chosen, problem, batch, T), constants)

    def audit() -> None:
        timed_audit(problem, batch, taken, hidden=False)

    for way, call in (("itself", step), ("plain", certified_step), ("audit", audit)):
        row = Overhead("overhead", task, chosen.label, crop, dtype, way)
        for number in range(WARM_UP + rounds):
            pair = [(row.floor, step), (row.seconds, call)]
            for times, half in pair if number % 2 else reversed(pair):
                seconds = _seconds(half)
                if number >= WARM_UP:
                    times.append(seconds)
        yield row


def _seconds(call: Callable[[], None]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
