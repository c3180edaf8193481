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
        warm_adjoint: start adjoint solves at the last adjoint.
    """

    def __init__(
        self, objective: BilevelObjective, state: State | None = None, warm_adjoint: bool = False
    ) -> None:
        """Begin at the present θ, or where ``state()`` was taken; that moves θ."""
        self.objective = objective
        self.x: Tensor = objective.start
        self.u0: Tensor | None = None
        self.work = 0.0
        self.warm_adjoint = warm_adjoint
        if state is not None:
            self.x, self.u0, self.work = state["x"], state["u0"], state["work"]
            objective.move(state["theta"])

    def evaluate(self, theta: Tensor, solver: Solver) -> Evaluation:
        """Move to θ, solve, and backpropagate. ``p.grad`` of the parameters is ``None`` before and after."""
        return self.begin(theta, solver).finish()

    def begin(self, theta: Tensor, solver: Solver) -> Trial:
        """Move to θ and solve: the loss is known, and ``finish()`` computes the gradient if it is worth it."""
        F = self.objective
        F.move(theta)
        # Other callables, such as one that starts cold, take no adjoint.
        takes = isinstance(solver, Solver)  # pyright: ignore[reportUnnecessaryIsInstance]
        warm = {"u0": self.u0} if self.warm_adjoint and takes else {}
        solution = solver(F.map(), self.x, F.loss, **warm)
        trial = Trial(self, theta, solution, F.loss(solution.x))
        self.x = solution.x.detach()
        self.work += trial.work
        return trial

    def state(self) -> dict[str, Any]:
        """What continues this evaluator at the present θ; tensors are shared, and never changed in place."""
        return {"theta": self.objective.theta(), "x": self.x, "u0": self.u0, "work": self.work}


class Trial:
    """A θ whose loss is known, and whose gradient is not computed yet.

    Attributes:
        loss: ℓ at the solution.
        work: of the solve so far.
    """

    def __init__(self, evaluator: Evaluator, theta: Tensor, solution: Solution, loss: Tensor) -> None:
        self.loss = float(loss.detach())
        # Products of a backward pass that is still to come do not count; those of a certificate have been made.
        self.work = solution.evaluations + sum(solve.evaluations for solve in solution.adjoint)
        self._evaluator, self._theta, self._solution, self._loss = evaluator, theta, solution, loss

    def finish(self) -> Evaluation:
        """Backpropagate; once, and before the evaluator moves on."""
        F, solution = self._evaluator.objective, self._solution
        self._loss.backward()
        gradient = torch.cat(
            [(torch.zeros_like(p) if p.grad is None else p.grad).detach().flatten() for p in F.parameters]
        )
        for p in F.parameters:
            p.grad = None
        if self._evaluator.warm_adjoint:
            self._evaluator.u0 = solution.adjoints[-1] if solution.adjoints else None
        self._evaluator.work += solution.work - self.work
        bound = solution.certificates[0] if solution.certificates else None
        return Evaluation(self._theta, self.loss, gradient, solution.work, bound, solution.converged)
