"""Wrong solves and reports: patches of what the solvers hand out, each of which some claim must turn red.

Results are spoilt on their way out, and constants replaced, so that a solver may be written anew without its mutants.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from solvers import CG, GMRES, Anderson, Equilibrium, Nesterov, Picard, Report, Shared, Tracked

from .batches import Picked
from .mutation import Mutant

LOOP, REACH, MIXING, KRYLOV = (
    sys.modules[f"solvers.{name}"] for name in ("_loop", "_reach", "_anderson", "_gmres")
)
USERS = tuple(sys.modules[f"solvers.{name}"] for name in ("_reach", "_anderson", "_nesterov"))
SOLVE, REGULARISED, PICK, STEPS = LOOP.solve, MIXING._regularised, Picked.pick, Tracked._steps
CALLS = {kind: kind.__call__ for kind in (CG, GMRES, Anderson, Nesterov, Picard, Shared)}


def source_of(function: Callable[..., Any], right: str, wrong: str) -> Callable[..., Any]:
    """The function with a piece of its text replaced; out of date where the piece is not there once."""
    text = inspect.getsource(function)
    if text.count(right) != 1:
        raise NameError(
            f"the mutant is out of date: {right!r} is in {function.__name__} {text.count(right)} times"
        )
    names: dict[str, Any] = {}
    scope = vars(sys.modules[function.__module__])
    exec(text.replace(right, wrong), scope | {"__name__": function.__module__}, names)
    return names[function.__name__]


def _everywhere(wrong: Callable[..., Any]) -> tuple[tuple[object, str, object], ...]:
    return tuple((module, "solve", wrong) for module in USERS)


def _reported(kind: type, change: Callable[[Any, Report], Report]) -> Any:
    """A solve whose report is changed on its way out."""
    right = CALLS[kind]

    def call(self: Any, T: Any, u0: Tensor, /) -> Equilibrium:
        at = right(self, T, u0)
        return dataclasses.replace(at, report=change(self, at.report))

    return call


def _claimed_after_a_restart(self: GMRES, report: Report) -> Report:
    if report.applications <= self.memory + 1:
        return report
    return dataclasses.replace(report, residual=min(report.residual, self.tol), converged=True)


def _whole_shares(*given: Any) -> Equilibrium:
    at = SOLVE(*given)
    return dataclasses.replace(at, report=dataclasses.replace(at.report, share=1.0))


def _whole_batch(T: Any, x0: Tensor, step: Any, tol: float, budget: int, every: int) -> Equilibrium:
    """Stops on the norm of the whole batch, which is one long vector to it."""
    shape = x0.shape

    def call(x: Tensor) -> Tensor:
        return T(x.view(shape)).view(1, -1)

    if x0.ndim < 2:
        return SOLVE(T, x0, step, tol, budget, every)
    at = SOLVE(call, x0.reshape(1, -1), REACH._Plain(x0.reshape(1, -1)), tol, 20 * budget, every)
    return dataclasses.replace(at, x=at.x.view(shape))


def _absolute_ridge(gram: Tensor, right: Tensor, ridge: float) -> Tensor:
    solved = torch.linalg.solve_ex(gram + ridge * torch.eye(gram.shape[1], dtype=gram.dtype), right)[0]
    return torch.where(gram.diagonal(dim1=1, dim2=2) > 0, solved, 0)


def _next_one(self: Any, index: Tensor) -> Any:
    return PICK(self, (index + 1) % len(self.index))


def _damped_otherwise(self: Tracked, T: Any, x: Tensor, count: int) -> Tensor:
    return STEPS(
        self if self.damping == 1 else dataclasses.replace(self, damping=1 - self.damping), T, x, count
    )


TRACKED = Tracked.__call__


def _full_segments(self: Tracked, T: Any, at: Any, loss: Any = None, /) -> Any:
    steps = -(-self.steps // self.segment) * self.segment if self.segment else self.steps
    return TRACKED(dataclasses.replace(self, steps=steps), T, at, loss)


def _unrefined(self: Shared, T: Any, u0: Tensor, /) -> Equilibrium:
    return Equilibrium(u0, Report(self.refine))


def _a_step_less(kind: type) -> Any:
    """A solve that stops at a hundred times its tolerance and reports that it met it."""
    right = CALLS[kind]

    def call(self: Any, T: Any, u0: Tensor, /) -> Equilibrium:
        at = right(dataclasses.replace(self, tol=min(0.9, 100 * self.tol)), T, u0)
        converged = bool(at.report.converged)
        residual = min(at.report.residual, self.tol) if converged else at.report.residual
        return dataclasses.replace(at, report=dataclasses.replace(at.report, residual=residual))

    return call


def _last(T: Any, x0: Tensor, step: Any, tol: float, budget: int, every: int) -> Equilibrium:
    seen: list[tuple[Tensor, Tensor]] = []

    def call(x: Tensor) -> Tensor:
        y = T(x)
        seen.append((x.clone(), y.detach().clone()))
        return y

    at = SOLVE(call, x0, step, tol, budget, every)
    if at.report.converged or x0.ndim < 2:
        return at
    x, y = seen[-1]
    gap, size = ((z.double()).flatten(1).norm(dim=1) for z in (y - x, y))
    return dataclasses.replace(
        at, x=x, report=dataclasses.replace(at.report, residual=float((gap / size).max()))
    )


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "an absolute tolerance in the loop",
        _everywhere(
            source_of(SOLVE, "(residual <= tol) | ~best.isfinite()", "(best <= tol) | ~best.isfinite()")
        ),
        ("C19", "C28"),
    ),
    Mutant("the last point in place of the best", _everywhere(_last), ("C28",)),
    Mutant("shares that are whole", _everywhere(_whole_shares), ("C29",)),
    Mutant("a residual of the whole batch", _everywhere(_whole_batch), ("C28", "C30")),
    Mutant(
        "a residual after a restart that is not measured",
        ((GMRES, "__call__", _reported(GMRES, _claimed_after_a_restart)),),
        ("C28",),
    ),
    Mutant("GMRES without re-orthogonalisation", ((KRYLOV, "CANCELLED", 0.0),), ("C32",)),
    Mutant("Anderson's ridge absolute", ((MIXING, "_regularised", _absolute_ridge),), ("C19",)),
    Mutant(
        "CG blind to a J that is not symmetric", ((sys.modules["solvers._cg"], "SYMMETRIC", 2.0),), ("C15",)
    ),
    Mutant("picks the wrong samples", ((Picked, "pick", _next_one),), ("C30",)),
    Mutant("damping by 1 − λ", ((Tracked, "_steps", _damped_otherwise),), ("C3",)),
    Mutant("the last checkpoint full", ((Tracked, "__call__", _full_segments),), ("C18", "C31")),
    Mutant("Shared without the inverse", ((Shared, "__call__", _unrefined),), ("C32",)),
    *(
        Mutant(
            f"{kind.__name__} that stops early and says otherwise",
            ((kind, "__call__", _a_step_less(kind)),),
            ("C28", "C8"),
        )
        for kind in (CG, GMRES, Anderson, Nesterov, Picard)
    ),
)
