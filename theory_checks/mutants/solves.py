"""Mutants of forward and adjoint solves, and of their reports.

Most change the result of a solver, or a constant, and not its code, so that a solver can be rewritten without them.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from solvers import (
    CG,
    GMRES,
    Anderson,
    FixedPoint,
    Nesterov,
    Picard,
    QuasiNewton,
    SharedInverse,
    SolveReport,
    TruncatedBackprop,
)

from ..engine import Mutant, mutant
from ..instances.batches import SampleSubset

LOOP, MIXING, KRYLOV = (
    sys.modules[f"solvers.{name}"] for name in ("_forward.loop", "_forward.anderson", "_adjoint.arnoldi")
)
USERS = tuple(
    sys.modules[f"solvers._forward.{name}"] for name in ("picard", "anderson", "nesterov", "quasi_newton")
)
SOLVE, REGULARISED, SELECT, STEPS = (
    LOOP.run_until_converged,
    MIXING._solve_regularised,
    SampleSubset.select,
    TruncatedBackprop._steps,
)
CALLS = {kind: kind.__call__ for kind in (CG, GMRES, Anderson, Nesterov, Picard, QuasiNewton, SharedInverse)}


def with_source_replaced(function: Callable[..., Any], right: str, wrong: str) -> Callable[..., Any]:
    """Recompile a function with a piece of its source replaced.

    Raises:
        NameError: the piece does not occur exactly once, so the mutant is out of date.
    """
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
    return tuple((module, "run_until_converged", wrong) for module in USERS)


def _reported(kind: type, change: Callable[[Any, SolveReport], SolveReport]) -> Any:
    """A solver whose report is changed."""
    right = CALLS[kind]

    def call(self: Any, T: Any, u0: Tensor, /) -> FixedPoint:
        solved = right(self, T, u0)
        return dataclasses.replace(solved, report=change(self, solved.report))

    return call


def _claimed_after_a_restart(self: GMRES, report: SolveReport) -> SolveReport:
    if report.applications <= self.memory + 1:
        return report
    return dataclasses.replace(report, residual=min(report.residual, self.tol), converged=True)


def _whole_shares(*arguments: Any) -> FixedPoint:
    solved = SOLVE(*arguments)
    return dataclasses.replace(solved, report=dataclasses.replace(solved.report, active_fraction=1.0))


def _whole_batch(
    T: Any, x0: Tensor, step: Any, tol: float, budget: int, every: int, error: Any = None
) -> FixedPoint:
    """Stop on the norm of the whole batch, as if it were one long vector."""
    shape = x0.shape

    def call(x: Tensor) -> Tensor:
        return T(x.view(shape)).view(1, -1)

    if x0.ndim < 2:
        return SOLVE(T, x0, step, tol, budget, every, error)
    solved = SOLVE(call, x0.reshape(1, -1), LOOP.Update(x0.reshape(1, -1)), tol, 20 * budget, every, error)
    return dataclasses.replace(solved, x=solved.x.view(shape))


def _absolute_ridge(gram: Tensor, right: Tensor, ridge: float) -> Tensor:
    solved = torch.linalg.solve_ex(gram + ridge * torch.eye(gram.shape[1], dtype=gram.dtype), right)[0]
    return torch.where(gram.diagonal(dim1=1, dim2=2) > 0, solved, 0)


def _next_one(self: Any, index: Tensor) -> Any:
    return SELECT(self, (index + 1) % len(self.index))


def _damped_otherwise(self: TruncatedBackprop, T: Any, x: Tensor, count: int) -> Tensor:
    return STEPS(
        self if self.damping == 1 else dataclasses.replace(self, damping=1 - self.damping), T, x, count
    )


BACKPROP = TruncatedBackprop.__call__


def _full_segments(self: TruncatedBackprop, T: Any, equilibrium: Any, loss: Any = None, /) -> Any:
    steps = -(-self.steps // self.segment) * self.segment if self.segment else self.steps
    return BACKPROP(dataclasses.replace(self, steps=steps), T, equilibrium, loss)


def _unrefined(self: SharedInverse, T: Any, u0: Tensor, /) -> FixedPoint:
    return FixedPoint(u0, SolveReport(self.refine))


def _stops_early(kind: type) -> Any:
    """A solver that stops at a hundred times its tolerance, and reports that it met the tolerance."""
    right = CALLS[kind]

    def call(self: Any, T: Any, u0: Tensor, /) -> FixedPoint:
        solved = right(dataclasses.replace(self, tol=min(0.9, 100 * self.tol)), T, u0)
        report = solved.report
        residual = min(report.residual, self.tol) if report.converged else report.residual
        return dataclasses.replace(solved, report=dataclasses.replace(report, residual=residual))

    return call


def _last(
    T: Any, x0: Tensor, step: Any, tol: float, budget: int, every: int, error: Any = None
) -> FixedPoint:
    pairs: list[tuple[Tensor, Tensor]] = []

    def call(x: Tensor) -> Tensor:
        y = T(x)
        pairs.append((x.clone(), y.detach().clone()))
        return y

    solved = SOLVE(call, x0, step, tol, budget, every, error)
    if solved.report.converged or x0.ndim < 2:
        return solved
    x, y = pairs[-1]
    gap, size = ((z.double()).flatten(1).norm(dim=1) for z in (y - x, y))
    return dataclasses.replace(
        solved, x=x, report=dataclasses.replace(solved.report, residual=float((gap / size).max()))
    )


SOLVE_MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "an absolute tolerance in the loop",
        _everywhere(
            with_source_replaced(
                SOLVE, "(distance <= tol) | ~best.isfinite()", "(best <= tol) | ~best.isfinite()"
            )
        ),
        ("C19", "C28"),
    ),
    Mutant("the last point in place of the best", _everywhere(_last), ("C28",)),
    Mutant("shares that are whole", _everywhere(_whole_shares), ("C29",)),
    Mutant("a residual of the whole batch", _everywhere(_whole_batch), ("C28", "C30")),
    mutant(
        "a residual after a restart that is not measured",
        GMRES,
        "__call__",
        _reported(GMRES, _claimed_after_a_restart),
        "C28",
    ),
    mutant("GMRES without re-orthogonalisation", KRYLOV, "CANCELLED", 0.0, "C32"),
    mutant("Anderson's ridge absolute", MIXING, "_solve_regularised", _absolute_ridge, "C19"),
    mutant(
        "CG blind to a J that is not symmetric", sys.modules["solvers._adjoint.cg"], "SYMMETRIC", 2.0, "C15"
    ),
    mutant("picks the wrong samples", SampleSubset, "select", _next_one, "C30"),
    mutant("damping by 1 − λ", TruncatedBackprop, "_steps", _damped_otherwise, "C3"),
    mutant("the last checkpoint full", TruncatedBackprop, "__call__", _full_segments, "C18", "C31"),
    mutant("Shared without the inverse", SharedInverse, "__call__", _unrefined, "C32"),
    *(
        mutant(
            f"{kind.__name__} that stops early and says otherwise",
            kind,
            "__call__",
            _stops_early(kind),
            "C28",
            "C8",
        )
        for kind in (CG, GMRES, Anderson, Nesterov, Picard, QuasiNewton)
    ),
)
