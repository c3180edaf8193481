"""Gradients of a problem as flat vectors: the one that a backward pass left, and the exact one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..measurement.hypergradient import reference_gradient
from ..measurement.training import parameters
from ..tasks import Batch, Problem


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """All entries of ``tensors`` as one vector."""
    return torch.cat([t.flatten() for t in tensors])


def l2_norm(x: Tensor) -> float:
    """``‖x‖`` of all entries."""
    return float(torch.linalg.vector_norm(x))


def leaf_gradients(leaves: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Copies of the gradients that a backward pass left in ``leaves``; zeros where it left none."""
    return tuple(torch.zeros_like(p) if p.grad is None else p.grad.detach().clone() for p in leaves)


def parameter_gradient(problem: Problem) -> Tensor:
    """The gradient that a backward pass left in the parameters of ``problem``, as one vector."""
    return flatten(leaf_gradients(parameters(problem)))


def exact_gradient(problem: Problem, batch: Batch) -> Tensor:
    """The float64 reference gradient on ``batch``, as one vector. Raises ``NoReference``."""
    return reference_gradient(
        problem.limit(batch), parameters(problem), problem.start(batch), lambda x: problem.loss(x, batch)
    ).gradient
