"""A reconstruction problem as a cone programme with learnable weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
import torch
from cvxpylayers.torch.cvxpylayer import CvxpyLayer
from numpy.typing import NDArray
from torch import Tensor

from bench.penalties.groups import Groups
from bench.penalties.shrinkage import Shrinkage
from bench.penalties.total_variation import TotalVariation
from bench.tasks import Problem, Task

SOLVER = {"solve_method": "Clarabel", "mode": "lsmr"}
"""Arguments of diffcp: an interior-point method, and a least-squares solve of the linear system of derivatives."""


@dataclass(frozen=True, slots=True, eq=False)
class ConeProgramme:
    """``min_x ½‖Ax − y‖² + ε/2 ‖x − ½‖² + Σ_k ω_k Σ_{g of kind k} h_δ(‖(Kx)_g‖)`` for one image of n pixels.

    Attributes:
        A, y: the physics as a matrix ``(m, n)``, and measurements ``(m,)``.
        K: the analysis of the penalty as a matrix ``(p, n)``.
        groups: coefficients that share a norm, by the kind of their weight: int64 ``(groups, members)`` each.
        smoothing, ridge: δ ≥ 0 of Huber's function ``h_δ``, and ε ≥ 0.
        weights: ω > 0 of each kind, float64 ``(kinds,)``.
        truth: the image of the loss ``½ mean (x − truth)²``, float64 ``(n,)``.
    """

    A: NDArray[np.float64]
    y: NDArray[np.float64]
    K: NDArray[np.float64]
    groups: tuple[NDArray[np.int64], ...]
    smoothing: float
    ridge: float
    weights: Tensor
    truth: Tensor

    def gradient(self) -> Tensor:
        """The gradient of the loss at the minimiser in ``log ω``, float64 ``(kinds,)``."""
        x = cp.Variable(self.A.shape[1])
        kinds = [cp.Parameter(nonneg=True) for _ in self.groups]
        objective: Any = 0.5 * cp.sum_squares(self.A @ x - self.y)
        if self.ridge:
            objective += self.ridge / 2 * cp.sum_squares(x - 0.5)
        for weight, groups in zip(kinds, self.groups, strict=True):
            objective += weight * self._norms(x, groups)
        layer = CvxpyLayer(cp.Problem(cp.Minimize(objective)), parameters=kinds, variables=[x])
        logs = self.weights.log().requires_grad_()
        (image,) = layer(*logs.exp().unbind(), solver_args=SOLVER)
        (gradient,) = torch.autograd.grad(0.5 * (image - self.truth).square().mean(), logs)
        return gradient

    def _norms(self, x: cp.Variable, groups: NDArray[np.int64]) -> Any:
        """``Σ_g h_δ(‖(Kx)_g‖)`` of one kind."""
        members = [self.K[column] @ x for column in groups.T]
        sizes = cp.abs(members[0]) if len(members) == 1 else cp.norm(cp.vstack(members), 2, axis=0)
        if not self.smoothing:
            return cp.sum(sizes)
        # cvxpy's Huber function is u² within δ, and 2δ|u| − δ² beyond.
        huber = cp.huber(sizes, self.smoothing)  # pyright: ignore[reportArgumentType]
        return cp.sum(huber) / (2 * self.smoothing)


def cone_programme(task: Task, problem: Problem) -> ConeProgramme:
    """The training problem of a task with one small grey image.

    Raises:
        TypeError: the penalty is neither a weighted one of single wavelet coefficients nor total variation.
    """
    batch = problem.train
    shape = batch.truth.shape[1:]
    pixels = torch.eye(shape.numel(), dtype=torch.float64).reshape(-1, *shape)
    penalty, groups = _penalty(problem)
    with torch.no_grad():
        A = problem.physics.A(pixels).flatten(1).T.numpy()
        K = penalty.analyse(pixels).flatten(1).T.numpy()
    prior: Any = task.prior
    return ConeProgramme(
        A,
        batch.y.flatten().numpy(),
        K,
        groups,
        prior.smoothing,
        prior.ridge,
        penalty.log_weights.detach().exp().flatten(),
        batch.truth.flatten(),
    )


def _penalty(problem: Problem) -> tuple[Shrinkage | TotalVariation, tuple[NDArray[np.int64], ...]]:
    """The penalty of the operator, and its groups by kind."""
    pixels = problem.train.truth[0].numel()
    for part in problem.operator.modules():
        if isinstance(part, Shrinkage) and part.groups == Groups() and len(part.transforms) == 1:
            # Band 0 is the approximation, which has no weight.
            bands = part.expand(torch.arange(1 + part.log_weights.numel()).double()[None]).flatten().numpy()
            kinds = range(1, 1 + part.log_weights.numel())
            return part, tuple(np.flatnonzero(bands == kind)[:, None] for kind in kinds)
        if isinstance(part, TotalVariation) and part.primal_channels == 1:
            field = np.arange(2 * pixels).reshape(2, pixels)
            isotropic = part.log_weights.shape[0] == 1
            return part, (field.T,) if isotropic else tuple(direction[:, None] for direction in field)
    raise TypeError(f"{type(problem.operator).__name__} has no penalty that a cone programme states")
