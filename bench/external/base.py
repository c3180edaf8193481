"""What a peer is: another library's gradient behind the signature of our solvers, with counts of what it really did."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, runtime_checkable

from torch import Tensor

from solvers import Loss, Map, Solution, SolveReport

from ..operators import Operator, Prior
from ..utils.errors import UserError


@runtime_checkable
class ExternalSolver(Protocol):
    """A library's way to a gradient at equilibrium; equal to another when their settings are."""

    @property
    def label(self) -> str:
        """The call that made it, as it stands in the tables: ``deepinv_deq(100, 50)``."""
        ...

    @property
    def composition(self) -> str:
        """The library with its version, and every setting spelled out."""
        ...

    @staticmethod
    def admits(operator: Operator | Prior) -> bool:
        """Whether it can run on an operator, or on what a prior will make."""
        ...

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> Solution:
        """Solve ``x = T(x)`` from ``x0``; backpropagating through the solution's ``x`` gives the library's gradient."""
        ...


@dataclass(slots=True)
class CallCounter:
    """Counts applications of T, and the vector-Jacobian products taken through them, at about a microsecond each.

    A taped application is watched by a hook on its node of the tape. The hook holds the numbers only, so that no
    reference cycle is made and no tape lives longer than the library lets it.

    Attributes:
        path: taped applications through which a cotangent passes once, on its way to the parameters; every product
            beyond them belongs to an adjoint solve.
        untaped, taped, vjps: what was seen so far; ``taped`` counts the forward pass only.
        adjoint: the report of the adjoint solve; empty until there is one.
        recomputed: a 1 for every application in ``backward()``.
        forward: whether the forward pass is still going on.
    """

    path: int
    untaped: int = 0
    taped: int = 0
    vjps: int = 0
    adjoint: list[SolveReport] = field(default_factory=list[SolveReport])
    recomputed: list[float] = field(default_factory=list[float])
    forward: bool = True

    def seen(self, y: Tensor) -> Tensor:
        """Count the application that made ``y``, and watch what is pulled back through it."""
        if not self.forward:
            self.recomputed.append(1)
        elif y.requires_grad:
            self.taped += 1
        else:
            self.untaped += 1
        if not y.requires_grad:
            return y
        watched = y if y.grad_fn is not None else y.view_as(y)  # where T is the identity
        assert watched.grad_fn is not None
        watched.grad_fn.register_prehook(self._pulled)
        return watched

    def _pulled(self, cotangents: tuple[Tensor, ...]) -> None:
        self.vjps += 1
        if self.vjps > self.path:
            self.adjoint[:] = [SolveReport(self.vjps - self.path)]

    def solution(self, x: Tensor) -> ExternalSolution:
        """The solution ``x`` at the end of the forward pass."""
        self.forward = False
        return ExternalSolution(
            x, SolveReport(self.untaped), self.taped, self.adjoint, self.recomputed, tally=self
        )


@dataclass(frozen=True, slots=True)
class ExternalSolution(Solution):
    """A solution whose products are those that were seen: deepinv tapes two applications and pulls through one."""

    tally: CallCounter = field(kw_only=True)

    @property
    def vjps(self) -> int:
        """Vector-Jacobian products of T so far."""
        return self.tally.vjps

    @property
    def products(self) -> float:
        """The same: peers apply T to the whole batch, always."""
        return self.tally.vjps


def shortest_call(make: Callable[..., object], budgets: int, given: dict[str, object]) -> str:
    """The shortest call that makes a peer: its budgets, then what is not a default.

    Args:
        make: the factory.
        budgets: how many of its first arguments are always shown.
        given: the value of each argument of ``make``, in order.
    """
    parameters = inspect.signature(make).parameters
    words = [repr(given[name]) for name in list(parameters)[:budgets]]
    rest = list(parameters.items())[budgets:]
    words += [f"{name}={given[name]!r}" for name, p in rest if given[name] != p.default]
    return f"{make.__name__}({', '.join(words)})"


@functools.cache
def installed(library: str) -> str:
    """``torchdeq 0.1.0``; ``UserError`` where the library is missing."""
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError as error:
        raise UserError(
            f"{library} is not installed: install the dependency group peers, "
            "e.g. run tox -e peers, or uv sync --group peers"
        ) from error


def whole(name: str, value: int, least: int = 1) -> int:
    """``value``, or a ``UserError`` where it is no whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return value


def real(name: str, value: float, least: float = 0.0) -> float:
    """``value``, or a ``UserError`` where it is no finite number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise UserError(f"{name} must be a number of at least {least:g}, not {value!r}")
    return float(value)


def switch(name: str, value: bool) -> bool:
    """``value``, or a ``UserError`` where it is neither True nor False."""
    if not isinstance(value, bool):
        raise UserError(f"{name} must be True or False, not {value!r}")
    return value
