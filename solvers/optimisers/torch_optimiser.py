"""Optimisers of ``torch.optim`` as they are, behind the protocol."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from .._core.solver import Solver
from .objective import BilevelObjective, Evaluator, State
from .protocol import OuterStep


def steps(
    objective: BilevelObjective,
    solver: Solver,
    make: Callable[[list[torch.Tensor]], torch.optim.Optimizer],
    state: State | None,
) -> Iterator[OuterStep]:
    """One evaluation a step, each followed by a step of the optimiser that ``make`` makes of θ as one leaf."""
    evaluator = Evaluator(objective, state)
    leaf = objective.theta().requires_grad_()
    optimiser = make([leaf])
    number = 0
    if state is not None:
        number = state["number"] + 1
        with torch.no_grad():
            leaf.copy_(state["next"])
        optimiser.load_state_dict(state["optimiser"])
    while True:
        evaluation = evaluator.evaluate(leaf.detach().clone(), solver)
        leaf.grad = evaluation.gradient.clone()
        optimiser.step()
        # Optimisers change their state in place, so it is copied.
        saved = {
            **evaluator.state(),
            "number": number,
            "next": leaf.detach().clone(),
            "optimiser": _copied(optimiser.state_dict()),
        }
        yield OuterStep(number, evaluation, evaluator.work, number + 1, saved)
        number += 1


def _copied(value: object) -> object:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(part) for part in value]
    return value
