"""Seconds of a training step with a certificate, and without, in interleaved pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from ...config.matrix import parse_solver, parse_task
from ...measurement.training import training_step
from ...tasks import build_problem
from ...tasks.images import Images, Layout
from .certified_step import known_constants, plain, take, timed_audit

WARM_UP = 2
WAYS = ("itself", "plain", "audit")
"""What is timed against the step: the step again, the step with its plain certificate, and the audit alone."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds of both halves of each pair.

    Attributes:
        part: ``overhead``.
        task, solver, crop, dtype: of what.
        way: one of ``WAYS``.
        seconds: of it.
        floor: of the bare step beside it.
    """

    part: str
    task: str
    solver: str
    crop: int
    dtype: str
    way: str
    seconds: list[float] = field(default_factory=list[float])
    floor: list[float] = field(default_factory=list[float])

    @property
    def ratios(self) -> list[float]:
        """One a pair."""
        return [s / f for s, f in zip(self.seconds, self.floor, strict=True)]


def overhead(
    task: str, solver: str, images: Images, crop: int, rounds: int, dtype: str = "float64"
) -> Iterator[Overhead]:
    """A row for each of ``WAYS``; which half of a pair comes first changes from pair to pair."""
    problem = build_problem(parse_task(task), images, Layout(crop, 1, 1), 0, dtype=getattr(torch, dtype))
    batch, chosen = problem.train, parse_solver(solver)
    gradient = take(chosen, problem, batch, problem.bind(batch), watched=False)

    def step() -> None:
        training_step(chosen, problem, batch)

    def certified_step() -> None:
        T = problem.bind(batch)
        constants = known_constants(T, problem.criterion(batch))
        if isinstance(constants, str):
            raise ValueError(f"{task}: {constants}")
        plain(take(chosen, problem, batch, T), constants)

    def audited() -> None:
        timed_audit(problem, batch, gradient, hidden=False)

    for way, call in zip(WAYS, (step, certified_step, audited), strict=True):
        found = Overhead("overhead", task, chosen.label, crop, dtype, way)
        for number in range(WARM_UP + rounds):
            pair = [(found.floor, step), (found.seconds, call)]
            for kept, what in pair if number % 2 else reversed(pair):
                seconds = _clock(what)
                if number >= WARM_UP:
                    kept.append(seconds)
        yield found


def _clock(call: Callable[[], None]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
