"""Compare reference gradients of the benchmark with derivatives of cone programmes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.config.lookup import parse_task
from bench.measurement.hypergradient import reference_gradient
from bench.measurement.training import parameters
from bench.operators import primal_dual
from bench.penalties import Penalty
from bench.tasks import Problem, Task, build_problem
from bench.tasks.images import Layout, find_images

from ..instances import two_norm
from .cone_programme import cone_programme

AGREES = 1e-4
"""Largest relative distance that counts as agreement; an interior-point solution has few digits more."""
CASES = (
    ("denoising(l1)", 16),
    ("denoising(huber)", 16),
    ("deblurring(huber)", 16),
    ("inpainting(huber)", 16),
    ("denoising(tv)", 12),
    ("denoising(tv(isotropic=False))", 12),
    ("denoising(tv(smoothing=0))", 12),
    ("deblurring(tv)", 16),
)
"""Tasks and sides of their crops, in pixels."""
APPLICATIONS = 20_000


@dataclass(frozen=True, slots=True)
class OracleCheck:
    """The gradient of a task in its log-weights, by the benchmark and by a cone programme.

    Attributes:
        task: the task, its wavelet, and the side of the crop.
        bound: relative error of the reference gradient, as its own certificate or estimate says.
        basis: ``certificate`` or ``estimate``.
        error: relative distance of the two gradients.
        seconds: time of the cone programme.
    """

    task: str
    bound: float
    basis: str
    error: float
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether the gradients agree to ``AGREES``."""
        return self.error <= AGREES


def check_against_cone_programmes(cases: tuple[tuple[str, int], ...] = CASES) -> Iterator[OracleCheck]:
    """Compare the two gradients on every case."""
    for text, side in cases:
        task, name = small_task(text)
        problem = build_problem(task, find_images(), Layout(side, 1, 1), 0, dtype=torch.float64)
        batch = problem.train
        learnable, start = parameters(problem), problem.start(batch)
        reference = reference_gradient(
            problem.limit(batch), learnable, start, problem.criterion(batch), APPLICATIONS
        )
        began = time.perf_counter()
        expected = cone_programme(task, problem).gradient()
        seconds = time.perf_counter() - began
        error = two_norm(of_weights(problem, reference.gradient) - expected) / two_norm(expected)
        label = f"{name}, {side}×{side}"
        yield OracleCheck(label, reference.error, reference.basis, error, seconds)


def small_task(text: str) -> tuple[Task, str]:
    """A task whose penalty fits tiny crops, and its name.

    Wavelets become two levels of Haar's; total variation needs the primal–dual iteration.
    """
    task = parse_task(text)
    if not isinstance(task.prior, Penalty):
        return replace(task, splitting=primal_dual()), f"{text} on primal_dual"
    return replace(task, prior=replace(task.prior, wavelet="haar", levels=2)), f"{text}, Haar"


def of_weights(problem: Problem, gradient: Tensor) -> Tensor:
    """The part in the log-weights of a gradient in all parameters."""
    start = 0
    for name, parameter in problem.operator.named_parameters():
        if name.endswith("log_weights"):
            return gradient[start : start + parameter.numel()]
        start += parameter.numel()
    raise TypeError(f"{type(problem.operator).__name__} has no weights")
