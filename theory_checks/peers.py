"""The implicit gradients of deepinv and torchdeq, put through C1 as a user would use them.

Both are held against central differences of the solved problem, on the same operators, with their defaults and with
their budgets raised, and with the loss scaled: an absolute tolerance on the way back shows there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import deepinv
import torch
from torch import Tensor
from torchdeq import get_deq

from bench.matrix import parse_task
from bench.operators import ForwardBackward
from solvers import Report, Solution, deq

from .cases import Case, Loss, affine, tanh
from .claims.c01_implicit_gradient import differences
from .exact import estimate, norm
from .real import Bound, real

GOOD = 1e-3
"""Relative error up to which a gradient counts as right."""

Gradient = Callable[[Case], Tensor]


@dataclass(frozen=True, slots=True)
class TorchDEQ:
    """torchdeq's ``get_deq`` with implicit differentiation and plain iterations both ways.

    Attributes:
        budget: iterations at most, forward and backward; tol: its tolerance for both.
        hook: implicit gradient by a hook; otherwise by an autograd function.
    """

    budget: int
    tol: float
    hook: bool

    def __call__(self, T: Callable[[Tensor], Tensor], x0: Tensor) -> Solution:
        """The solution with torchdeq's tape; it insists on a batch dimension."""
        solve = get_deq(
            ift=not self.hook,
            hook_ift=self.hook,
            f_solver="fixed_point_iter",
            b_solver="fixed_point_iter",
            f_max_iter=self.budget,
            b_max_iter=self.budget,
            f_tol=self.tol,
            b_tol=self.tol,
        )
        found, _ = solve(lambda z: T(z[0])[None], x0[None])
        return Solution(found[-1][0], Report(0), 0)


@dataclass(frozen=True, slots=True)
class DeepInverse:
    """deepinv's ``PGD(..., DEQ=...)`` on the same physics, step and penalty.

    Attributes:
        max_iter, backward: iterations forward and backward.
        threshold: its ``thres_conv``; early_stop: whether it stops the forward iteration (it always stops the other).
    """

    max_iter: int
    backward: int
    threshold: float
    early_stop: bool

    def gradient(self, case: Case) -> Tensor:
        """What it leaves in the log-weights of a real case."""
        T = case.T
        assert isinstance(T, Bound), "deepinv's own algorithm runs on the benchmark's operators only"
        assert isinstance(T.operator, ForwardBackward)
        penalty = T.operator.prior

        class Prior(deepinv.optim.Prior):
            """Our penalty behind deepinv's interface."""

            def prox(self, x: Tensor, *arguments: object, gamma: Tensor, **named: object) -> Tensor:
                """``prox_{γg}(x)``."""
                return penalty.prox(x, torch.as_tensor(gamma, dtype=x.dtype))

        algorithm = deepinv.optim.PGD(
            data_fidelity=deepinv.optim.L2(),
            prior=Prior(),
            stepsize=float(T.operator.log_step.exp()),
            lambda_reg=1.0,
            max_iter=self.max_iter,
            thres_conv=self.threshold,
            early_stop=self.early_stop,
            unfold=True,
            trainable_params=[],
            DEQ=deepinv.optim.DEQConfig(max_iter_backward=self.backward),
        )
        penalty.zero_grad()
        x = algorithm(T.batch.y, T.physics, init=T.batch.x0)
        case.loss(x.flatten(), torch.zeros(len(T.theta), dtype=torch.float64)).backward()
        assert penalty.log_weights.grad is not None, "no gradient reached the weights"
        return penalty.log_weights.grad.flatten().clone()


def _solver(solve: Callable[..., Solution]) -> Gradient:
    return lambda case: estimate(solve, case)  # pyright: ignore[reportArgumentType]


EVERYWHERE: dict[str, Gradient] = {
    "eqgrad deq(1e-09)": _solver(deq(1e-9, 500)),
    "torchdeq 0.1, hook, 100 + 100, tol 1e-6": _solver(TorchDEQ(100, 1e-6, True)),
    "torchdeq 0.1, function, 100 + 100, tol 1e-6": _solver(TorchDEQ(100, 1e-6, False)),
    "torchdeq 0.1, function, 5000 + 5000, tol 1e-12": _solver(TorchDEQ(5000, 1e-12, False)),
}
ON_IMAGES: dict[str, Gradient] = {
    "deepinv 0.5 DEQ, 100 + 50 (defaults)": DeepInverse(100, 50, 1e-5, False).gradient,
    "deepinv 0.5 DEQ, 5000 + 5000, threshold 1e-12": DeepInverse(5000, 5000, 1e-12, True).gradient,
}
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
        libraries = EVERYWHERE | (ON_IMAGES if isinstance(case.T, Bound) else {})
        for scale in SCALES:
            loss = Loss(case.loss.target, scale * case.loss.q, scale * case.loss.M)
            for name, gradient in libraries.items():
                try:
                    estimated = gradient(replace(case, loss=loss))[coordinates] / scale
                    error = norm(estimated - wanted) / norm(wanted)
                except Exception as failed:
                    line = f"raises {type(failed).__name__}: {' '.join(str(failed).split())[:80]}"
                    found.append(PeerFinding(name, case.name, scale, math.nan, line))
                    continue
                found.append(PeerFinding(name, case.name, scale, error, "right" if error <= GOOD else "off"))
    return found
