"""A solver: a forward solver and a backward mode, composed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from torch import Tensor

from .input_checks import admitted, blamed_on, instance_of_a_part, kind, no_transforms, transformed, untracked
from .map_guard import AutocastState, GuardedMap
from .maps import Loss, Map
from .results import FixedPoint, Solution
from .tape import ends


class ForwardSolver(Protocol):
    """A policy that approaches the fixed point of a map; it runs under ``torch.no_grad``."""

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint: ...


class BackwardMode(Protocol):
    """A policy that lets autograd see the map at the point where a reach ended."""

    def __call__(self, T: Map, at: FixedPoint, loss: Loss | None = None, /) -> Solution: ...


@dataclass(frozen=True, slots=True)
class Solver:
    """A gradient estimator at equilibrium: *reach* (without a tape) × *pull* (what autograd sees).

    Two solvers are equal when they do the same, whatever they are called.

    Attributes:
        label: the call that made it, as it stands in the tables: ``restarted_jfb(10, 10)``.
    """

    label: str = field(compare=False)
    forward_solver: ForwardSolver
    backward_mode: BackwardMode

    @property
    def composition(self) -> str:
        """What it is made of: reach × pull, every setting spelled out."""
        return f"{self.forward_solver!r} × {self.backward_mode!r}"

    def __post_init__(self) -> None:
        instance_of_a_part("forward_solver", self.forward_solver, "Anderson(1e-3)")
        instance_of_a_part("backward_mode", self.backward_mode, "TruncatedBackprop(10)")

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
        if transformed() and not getattr(self.backward_mode, "transformable", True):
            raise no_transforms(self.label)
        with untracked():
            start = admitted(T, x0, loss)
        guard = GuardedMap(T, AutocastState.around(start))
        with guard.precision.outside(), blamed_on(self.label):
            with untracked():
                at = self.forward_solver(guard, start)
            if not isinstance(at, FixedPoint):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(
                    f"a reach must return a FixedPoint, and {self.forward_solver!r} returned {kind(at)}"
                )
            solution = self.backward_mode(guard, at, loss)
        return _finished(solution, guard)


def _finished(solution: Solution, guard: GuardedMap) -> Solution:
    """The solution, with what only the guard knows."""
    solution.recomputed.extend([1] * guard.repeated)
    x = solution.x
    if guard.marked and x.requires_grad:
        tape, own = ends(x), {id(point) for point in guard.marked}
        if not tape.opaque and all(id(leaf) in own for leaf in tape.leaves):
            solution = replace(solution, x=x.detach())  # nothing to learn: T itself has put a point on a tape
    guard.release()
    return solution
