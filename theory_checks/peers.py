"""The implicit gradients of deepinv and torchdeq, put through C1 as a user would use them.

Both are held against central differences of the solved problem, on the same operators, with their defaults and with
their budgets raised, and with the loss scaled: an absolute tolerance on the way back shows there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.errors import in_a_line
from bench.matrix import parse_task
from bench.peers import DeepInverse, Peer, deepinv_deq, torchdeq_ift
from solvers import Solver, deq

from .cases import Case, Loss, affine, tanh
from .claims.c01_implicit_gradient import differences
from .exact import estimate, norm
from .real import Bound, real

GOOD = 1e-3
"""Relative error up to which a gradient counts as right."""

LIBRARIES: dict[str, Callable[[], Solver | Peer]] = {
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


def gradient(solver: Solver | Peer, case: Case) -> Tensor:
    """What a solver or a peer leaves in the parameters of a case."""
    if not isinstance(solver, DeepInverse):
        return estimate(solver, case)  # pyright: ignore[reportArgumentType]
    # deepinv has an algorithm of its own: it is given the operator itself, not the map of flat states.
    assert isinstance(case.T, Bound), "deepinv's own algorithm runs on the benchmark's operators only"
    operator, batch = case.T.operator, case.T.batch
    operator.zero_grad()
    x = solver(operator.bind(batch.y, case.T.physics), case.T.start).x
    case.loss(x.flatten(), torch.zeros_like(case.T.theta)).backward()
    return torch.cat([p.grad.flatten().clone() for p in operator.parameters() if p.grad is not None])


SCALES = (1.0, 1e-4)


@dataclass(frozen=True, slots=True)
class PeerFinding:
    """How far a library's gradient is from central differences, relative, on a case, the loss times ``scale``."""

    library: str
    case: str
    scale: float
    error: float
    verdict: str


def examine_peers() -> list[PeerFinding]:
    """Every library and setting on every case and scale."""
    made = [
        affine(4, 3, 0.9, 3),
        tanh(4, 3, 0.9, 3),
        *(real(parse_task(text)) for text in ("denoising(huber)", "deblurring(huber)", "inpainting(huber)")),
    ]
    found = []
    for case in made:
        coordinates = list(range(min(6, len(case.T.theta))))
        wanted = differences(case, coordinates)
        libraries = {name: make() for name, make in LIBRARIES.items()}
        for scale in SCALES:
            loss = Loss(case.loss.target, scale * case.loss.q, scale * case.loss.M)
            for name, solver in libraries.items():
                if isinstance(solver, DeepInverse) and not isinstance(case.T, Bound):
                    continue
                try:
                    estimated = gradient(solver, replace(case, loss=loss))[coordinates] / scale
                    error = norm(estimated - wanted) / norm(wanted)
                except Exception as failed:
                    line = f"raises {in_a_line(failed, 80)}"
                    found.append(PeerFinding(name, case.name, scale, math.nan, line))
                    continue
                found.append(PeerFinding(name, case.name, scale, error, "right" if error <= GOOD else "off"))
    return found
