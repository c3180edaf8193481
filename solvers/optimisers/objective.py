"""A bilevel objective ``F(θ) = ℓ(x*(θ))``, and its evaluation by an estimator, from warm starts and with counts."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .._core.certificate import Certificate
from .._core.maps import Loss, Map
from .._core.results import Solution
from .._core.solver import Solver

State: TypeAlias = Mapping[str, Any]
"""Tensors, numbers and lists of them, as ``torch.save`` stores and ``torch.load(weights_only=True)`` reads them."""


@dataclass(frozen=True, slots=True)
class BilevelObjective:
    """``F(θ) = ℓ(x*(θ))`` with ``x* = T_θ(x*)``, on one batch.

    Attributes:
        map: returns T at the present θ; called once at each θ.
        loss: of a state; a ``SmoothLoss`` where its constants are known, which rigorous enclosures of F need.
        start: state from which the first solve starts, of any shape and of a floating dtype.
        parameters: θ, as real leaves that the map closes over.
    """

    map: Callable[[], Map]
    loss: Loss
    start: Tensor
    parameters: Sequence[Tensor]

    def theta(self) -> Tensor:
        """A copy of θ as one vector, ``(parameters,)``."""
        return torch.cat([p.detach().flatten() for p in self.parameters])

    def move(self, theta: Tensor) -> None:
        """Set θ to a vector as ``theta`` returns it, and drop gradients.

        Raises:
            ValueError: the vector has another length.
        """
        sizes = [p.numel() for p in self.parameters]
        if theta.shape != (sum(sizes),):
            raise ValueError(f"θ has {sum(sizes)} entries, not the shape {tuple(theta.shape)}")
        for p, values in zip(self.parameters, theta.split(sizes), strict=True):
            p.grad = None
            with torch.no_grad():
                p.copy_(values.view_as(p))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """F and an estimate of F' at θ.

    Attributes:
        theta, gradient: vectors ``(parameters,)``, in the order of ``BilevelObjective.parameters``.
        loss: ℓ at the solution, which differs from F by the error of the forward solve.
        work: ``Solution.work`` of this evaluation: applications and products, in batches.
        certificate: of the gradient, if the solver computes one.
        converged: False if a solve with a tolerance missed it.
    """

    theta: Tensor
    loss: float
    gradient: Tensor
    work: float
    certificate: Certificate | None = None
    converged: bool = True


class Evaluator:
    """Evaluates an objective from the last solution, and counts.

    Attributes:
        objective: F.
        x: state from which the next solve starts: the last solution, whatever θ it was at.
        u0: adjoint from which the next adjoint solve starts; ``None`` for the default.
        work: of all evaluations so far.
    """

    def __init__(self, objective: BilevelObjective, state: State | None = None) -> None:
        """Begin at the present θ, or where ``state()`` was taken; that moves θ."""
        self.objective = objective
        self.x: Tensor = objective.start
        self.u0: Tensor | None = None
        self.work = 0.0
        if state is not None:
            self.x, self.u0, self.work = state["x"], state["u0"], state["work"]
            objective.move(state["theta"])

    def evaluate(self, theta: Tensor, solver: Solver) -> Evaluation:
        """Move to θ, solve, and backpropagate. ``p.grad`` of the parameters is ``None`` before and after."""
        F = self.objective
        F.move(theta)
        solution = self._solve(solver)
        loss = F.loss(solution.x)
        loss.backward()
        gradient = torch.cat(
            [(torch.zeros_like(p) if p.grad is None else p.grad).detach().flatten() for p in F.parameters]
        )
        for p in F.parameters:
            p.grad = None
        self.x = solution.x.detach()
        self.work += solution.work
        bound = solution.certificates[0] if solution.certificates else None
        value = float(loss.detach())
        return Evaluation(theta, value, gradient, solution.work, bound, solution.converged)

    def state(self) -> dict[str, Any]:
        """What continues this evaluator at the present θ; tensors are shared, and never changed in place."""
        return {"theta": self.objective.theta(), "x": self.x, "u0": self.u0, "work": self.work}

    def _solve(self, solver: Solver) -> Solution:
        # The one place where a warm adjoint plugs in: pass u0 here, and keep the solution's adjoint in self.u0.
        return solver(self.objective.map(), self.x, self.objective.loss)
