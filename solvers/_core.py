"""The few nouns of the library: a map, what is known of a fixed-point solve, and a solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from torch import Tensor

from ._entry import (
    Guard,
    Precision,
    admitted,
    instance_of_a_part,
    kind,
    named,
    no_transforms,
    transformed,
    untracked,
)
from ._tape import ends

if TYPE_CHECKING:
    from .certificate import Certificate

Map: TypeAlias = Callable[[Tensor], Tensor]
"""``x -> T(x)``, with the shape, dtype and device of ``x`` kept.

Dimension 0 of an ``x`` with two or more dimensions is the batch; samples of a batch must not
interact. A one-dimensional ``x`` is a single sample.
"""


Loss: TypeAlias = Callable[[Tensor], Tensor]
"""``x -> ℓ(x)``, a scalar of the equilibrium; it may depend on the parameters too."""


@runtime_checkable
class Divisible(Protocol):
    """A map that can leave samples out: a solver then spends nothing on those that have converged.

    A map without it is applied to the whole batch until the last sample has converged.
    """

    def __call__(self, x: Tensor, /) -> Tensor: ...

    def pick(self, index: Tensor, /) -> Map:
        """The map of the samples at ``index`` (int64) alone."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """How one fixed-point solve ended. Non-convergence is data here, never an exception.

    Attributes:
        applications: how often the map was applied.
        share: the mean share of the batch that an application was made on; below 1 where samples that had converged
            were left out of later ones.
        residual: ``‖T(x) − x‖ / ‖T(x)‖`` of the point that was returned, the largest over the
            batch; ``nan`` where the policy did not measure it.
        converged: whether ``residual`` met the tolerance; ``None`` where there was none.
    """

    applications: int
    residual: float = float("nan")
    converged: bool | None = None
    share: float = 1.0

    @property
    def evaluations(self) -> float:
        """Applications, each counted as the share of the batch that it was made on."""
        return self.applications * self.share

    def then(self, more: Report) -> Report:
        """This solve, gone on with by another."""
        total = self.applications + more.applications
        share = (self.evaluations + more.evaluations) / total if total else 1.0
        return replace(more, applications=total, share=share)


@dataclass(frozen=True, slots=True)
class Equilibrium:
    """What a reach leaves behind: a point without a tape, and the report on how it came about.

    Attributes:
        x: the point.
        report: how it was found.
        inverse: ``v -> ≈ (I − Jᵀ)⁻¹v``, where the reach has learned it on its way (quasi-Newton); ``None`` elsewhere.
    """

    x: Tensor
    report: Report
    inverse: Map | None = None


@dataclass(frozen=True, slots=True)
class Solution:
    """The value of a solver, and an honest account of what it cost.

    Attributes:
        x: the reconstruction; backpropagating through it gives the gradient estimate.
        reached: the solve without a tape, that of ``x* = T(x*)``.
        recorded: applications of ``T`` on the tape.
        adjoint: one report for each adjoint solve made so far. It is filled by ``backward()``,
            and stays empty for estimators that solve no adjoint equation.
        again: a 1 for every further application of ``T`` on a tape: those that ``backward()`` made again, and those at
            points that were not good enough.
        certificates: of the gradient, where the estimator makes one; there once it is known.
    """

    x: Tensor
    reached: Report
    recorded: int
    adjoint: list[Report] = field(default_factory=list[Report])
    again: list[int] = field(default_factory=list[int])
    certificates: list[Certificate] = field(default_factory=list["Certificate"])

    @property
    def applications(self) -> int:
        """Applications of ``T``, with and without a tape, those made again by ``backward()`` included."""
        return self.reached.applications + self.recorded + sum(self.again)

    @property
    def vjps(self) -> int:
        """Vector-Jacobian products of ``T`` that one ``backward()`` made (call it afterwards)."""
        return self.recorded + sum(solve.applications for solve in self.adjoint)

    @property
    def converged(self) -> bool:
        """False as soon as any solve with a tolerance, forward or adjoint, missed it."""
        return all(report.converged is not False for report in (self.reached, *self.adjoint))


class Reach(Protocol):
    """A policy that approaches the fixed point of a map; it runs under ``torch.no_grad``."""

    def __call__(self, T: Map, x0: Tensor, /) -> Equilibrium: ...


class Pull(Protocol):
    """A policy that lets autograd see the map at the point where a reach ended."""

    def __call__(self, T: Map, at: Equilibrium, loss: Loss | None = None, /) -> Solution: ...


@dataclass(frozen=True, slots=True)
class Solver:
    """A gradient estimator at equilibrium: *reach* (without a tape) × *pull* (what autograd sees).

    Two solvers are equal when they do the same, whatever they are called.

    Attributes:
        label: the call that made it, as it stands in the tables: ``restarted_jfb(10, 10)``.
    """

    label: str = field(compare=False)
    reach: Reach
    pull: Pull

    @property
    def composition(self) -> str:
        """What it is made of: reach × pull, every setting spelled out."""
        return f"{self.reach!r} × {self.pull!r}"

    def __post_init__(self) -> None:
        instance_of_a_part("reach", self.reach, "Anderson(1e-3)")
        instance_of_a_part("pull", self.pull, "Tracked(10)")

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /) -> Solution:
        """Solve ``x = T(x)`` from ``x0``.

        Autocast is T's alone: states and what is computed with them keep the dtype of ``x0``.

        Args:
            T: the map; the parameters to differentiate are those that it closes over. It may change its argument or
                return one buffer again and again: it is given copies then, and copied from.
            x0: the start, any shape and floating dtype; no gradient flows into it, and it stays as it is.
            loss: what will be made of the solution. ``certified`` needs it to know when the gradient is good enough;
                estimators of a depth of their own do not look at it.

        Returns:
            A solution whose ``x`` has the shape, dtype and device of ``x0``.

        Raises:
            TypeError: T, x0 or the loss is not what it should be; T returns no tensor, or another dtype.
            ValueError: T returns another shape or device; or it writes to memory that a solver must keep.
            RuntimeError: a transform of ``torch.func`` that the pull cannot serve.
        """
        if transformed() and not getattr(self.pull, "transformable", True):
            raise no_transforms(self.label)
        with untracked():
            start = admitted(T, x0, loss)
        guard = Guard(T, Precision.around(start))
        with guard.precision.outside(), named(self.label):
            with untracked():
                at = self.reach(guard, start)
            if not isinstance(at, Equilibrium):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"a reach must return an Equilibrium, and {self.reach!r} returned {kind(at)}")
            solution = self.pull(guard, at, loss)
        return _finished(solution, guard)


def _finished(solution: Solution, guard: Guard) -> Solution:
    """The solution, with what only the guard knows."""
    solution.again.extend([1] * guard.repeated)
    x = solution.x
    if guard.marked and x.requires_grad:
        tape, own = ends(x), {id(point) for point in guard.marked}
        if not tape.opaque and all(id(leaf) in own for leaf in tape.leaves):
            solution = replace(solution, x=x.detach())  # nothing to learn: T itself has put a point on a tape
    guard.release()
    return solution


def at_least(name: str, value: int, least: int) -> int:
    """``value``, or a ``ValueError`` that names the argument, the value and the way out."""
    if isinstance(value, bool) or not isinstance(value, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
    return value


def positive(name: str, value: float) -> float:
    """``value``, or a ``ValueError`` that names the argument, the value and the way out."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"{name} must be a positive number, not {value!r}")
    return value


def share(name: str, value: float) -> float:
    """``value``, or a ``ValueError`` that names the argument, the value and the way out."""
    if positive(name, value) > 1:
        raise ValueError(f"{name} must lie in (0, 1], not {value!r}")
    return value
