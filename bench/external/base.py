"""External solvers: another library's gradient, with the signature of the project's solvers and counts of its work."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol, runtime_checkable

from torch import Tensor

from solvers import Loss, Map, Solution, SolveReport

from ..operators import Operator, Prior, Splitting
from ..utils.errors import UserError


@runtime_checkable
class ExternalSolver(Protocol):
    """A library's gradient at equilibrium; two are equal if their settings are."""

    @property
    def label(self) -> str:
        """The call that made the solver, as tables show it: ``deepinv_deq(100, 50)``."""
        ...

    @property
    def composition(self) -> str:
        """The library with its version, and every setting."""
        ...

    @staticmethod
    def admits(operator: Operator | Prior, splitting: Splitting = ...) -> bool:
        """Whether the library can run on an operator, or on those that a splitting makes of a prior.

        ``splitting`` is forward–backward by default; of an operator it is not needed.
        """
        ...

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> Solution:
        """Solve ``x = T(x)`` from ``x0``; backpropagation through the solution's ``x`` gives the library's gradient."""
        ...


@dataclass(slots=True)
class CallCounter:
    """Counts applications of T and their vector–Jacobian products, in about a microsecond each.

    A hook on the tape counts the products of an application. It refers to the counter alone, so it makes no reference
    cycle, and no tape lives longer than the library lets it.

    Attributes:
        direct: products on the way of one cotangent through the tape to the parameters; all products beyond them belong
            to an adjoint solve.
        untaped, taped: applications without and with a tape in the forward pass.
        vjps: products.
        adjoint: report of the adjoint solve; empty before there is one.
        recomputed: a 1 for every application in ``backward()``.
    """

    direct: int
    untaped: int = 0
    taped: int = 0
    vjps: int = 0
    adjoint: list[SolveReport] = field(default_factory=list[SolveReport])
    recomputed: list[float] = field(default_factory=list[float])
    in_forward: bool = True

    def count(self, y: Tensor) -> Tensor:
        """Count the application that made ``y``. Returns ``y``, whose products will be counted."""
        if not self.in_forward:
            self.recomputed.append(1)
        elif y.requires_grad:
            self.taped += 1
        else:
            self.untaped += 1
        if not y.requires_grad:
            return y
        y = y if y.grad_fn is not None else y.view_as(y)  # a leaf: T is the identity
        assert y.grad_fn is not None
        y.grad_fn.register_prehook(self._count_vjp)
        return y

    def _count_vjp(self, cotangents: tuple[Tensor, ...]) -> None:
        self.vjps += 1
        if self.vjps > self.direct:
            self.adjoint[:] = [SolveReport(self.vjps - self.direct)]

    def solution(self, x: Tensor) -> ExternalSolution:
        """The solution ``x``; ends the forward pass."""
        self.in_forward = False
        return ExternalSolution(
            x, SolveReport(self.untaped), self.taped, self.adjoint, self.recomputed, counter=self
        )


@dataclass(frozen=True, slots=True)
class ExternalSolution(Solution):
    """A solution with counted products: for example, deepinv tapes two applications and takes products of only one."""

    counter: CallCounter = field(kw_only=True)

    @property
    def vjps(self) -> int:
        """Vector–Jacobian products of T so far."""
        return self.counter.vjps

    @property
    def products(self) -> float:
        """The same number: external solvers always apply T to the whole batch."""
        return self.counter.vjps


def shortest_call(make: Callable[..., object], budgets: int, arguments: dict[str, object]) -> str:
    """The shortest call of ``make``: its first ``budgets`` arguments always, then those that are not defaults."""
    parameters = list(inspect.signature(make).parameters.items())
    words = [repr(arguments[name]) for name, _ in parameters[:budgets]]
    words += [
        f"{name}={arguments[name]!r}"
        for name, parameter in parameters[budgets:]
        if arguments[name] != parameter.default
    ]
    return f"{make.__name__}({', '.join(words)})"


@functools.cache
def installed(library: str) -> str:
    """The library with its version, ``torchdeq 0.1.0``. Raises ``UserError`` if it is not installed."""
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError as error:
        raise UserError(
            f"{library} is not installed: install the dependency group peers, "
            "e.g. run tox -e peers, or uv sync --group peers"
        ) from error
