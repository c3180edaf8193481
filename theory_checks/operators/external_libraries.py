"""Check claim C1 on the implicit gradients of deepinv and torchdeq.

Their gradients are compared with central differences of the solved problem, on the same operators, with default and
with larger budgets, and with a scaled loss, which exposes an absolute tolerance in the backward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.config.matrix import parse_task
from bench.external import DeepInverse, ExternalSolver, deepinv_deq, torchdeq_ift
from bench.utils.errors import in_a_line
from solvers import Solver, deq

from ..claims.c01_implicit_gradient import differences
from ..instances import Case, QuadraticLoss, solver_gradient, two_norm
from ..instances.synthetic import affine, tanh
from .benchmark_operator import BenchmarkMap, benchmark_case

ACCURATE = 1e-3
"""Largest relative error of a gradient that counts as right."""

LIBRARIES: dict[str, Callable[[], Solver | ExternalSolver]] = {
    "eqgrad deq(1e-09)": lambda: deq(1e-9, 500),
    "torchdeq 0.1, hook, 100 + 100, tol 1e-6": lambda: torchdeq_ift(100, 100, hook=True, tol=1e-6),
    "torchdeq 0.1, function, 100 + 100, tol 1e-6": lambda: torchdeq_ift(100, 100, tol=1e-6),
    "torchdeq 0.1, function, 5000 + 5000, tol 1e-12": lambda: torchdeq_ift(
        5000, 5000, tol=1e-12, tol_backward=1e-12
    ),
    "deepinv 0.5 DEQ, 100 + 50 (defaults)": deepinv_deq,
    "deepinv 0.5 DEQ, 5000 + 5000, threshold 1e-12": lambda: deepinv_deq(
        5000, 5000, thres=1e-12, early_stop=True
    ),
}


def library_gradient(solver: Solver | ExternalSolver, case: Case) -> Tensor:
    """The gradient in the parameters of a case by a solver or by another library, of shape ``(p,)``."""
    if not isinstance(solver, DeepInverse):
        return solver_gradient(solver, case)  # pyright: ignore[reportArgumentType]
    # deepinv runs its own algorithm, so it takes the operator itself and not the map on flat states.
    assert isinstance(case.T, BenchmarkMap), "deepinv runs on the operators of the benchmark only"
    operator, batch = case.T.operator, case.T.batch
    operator.zero_grad()
    x = solver(operator.bind(batch.y, case.T.physics), case.T.start).x
    case.loss(x.flatten(), torch.zeros_like(case.T.theta)).backward()
    return torch.cat([p.grad.flatten().clone() for p in operator.parameters() if p.grad is not None])


SCALES = (1.0, 1e-4)


@dataclass(frozen=True, slots=True)
class ExternalCheck:
    """The relative error of a library's gradient on a case, with the loss times ``scale``.

    Attributes:
        library: name of the library, version and budget.
        case: name of the case.
        scale: factor of the loss.
        error: relative distance to central differences; nan if the library raised.
        verdict: ``right``, ``off``, or what was raised.
    """

    library: str
    case: str
    scale: float
    error: float
    verdict: str


def check_external_libraries() -> list[ExternalCheck]:
    """Check every library and budget on every case and scale of the loss."""
    cases = [
        affine(4, 3, 0.9, 3),
        tanh(4, 3, 0.9, 3),
        *(
            benchmark_case(parse_task(text))
            for text in ("denoising(huber)", "deblurring(huber)", "inpainting(huber)")
        ),
    ]
    checks: list[ExternalCheck] = []
    for case in cases:
        coordinates = list(range(min(6, len(case.T.theta))))
        expected = differences(case, coordinates)
        libraries = {name: make() for name, make in LIBRARIES.items()}
        for scale in SCALES:
            loss = QuadraticLoss(case.loss.target, scale * case.loss.q, scale * case.loss.M)
            for name, solver in libraries.items():
                if isinstance(solver, DeepInverse) and not isinstance(case.T, BenchmarkMap):
                    continue
                try:
                    estimated = library_gradient(solver, replace(case, loss=loss))[coordinates] / scale
                    error = two_norm(estimated - expected) / two_norm(expected)
                except Exception as raised:
                    line = f"raises {in_a_line(raised, 80)}"
                    checks.append(ExternalCheck(name, case.name, scale, math.nan, line))
                    continue
                checks.append(
                    ExternalCheck(name, case.name, scale, error, "right" if error <= ACCURATE else "off")
                )
    return checks
