"""A solver: a forward solver and a backward mode, composed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from torch import Tensor

from .input_checks import (
    check_part,
    checked_adjoint,
    checked_start,
    explained_transform_errors,
    in_transform,
    no_tape,
    transform_error,
    type_name,
)
from .map_guard import AutocastState, GuardedMap
from .maps import Loss, Map
from .results import FixedPoint, Solution
from .tape import tape_ends


class ForwardSolver(Protocol):
    """Approaches the fixed point of a map; called under ``torch.no_grad``."""

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint: ...


@runtime_checkable
class SolvesForLoss(Protocol):
    """A forward solver whose accuracy can follow the loss of the solution."""

    def solve_for_loss(self, T: Map, x0: Tensor, loss: Loss | None, /) -> FixedPoint:
        """Approach the fixed point of T as far as the gradient of ``loss`` requires; ``None`` if it is unknown."""
        ...


class BackwardMode(Protocol):
    """Applies the map at the point of the forward solver, so that autograd can differentiate the result."""

    def __call__(self, T: Map, point: FixedPoint, loss: Loss | None = None, /) -> Solution: ...


@dataclass(frozen=True, slots=True)
class Solver:
    """A gradient estimator at equilibrium: a forward solver without a tape × a backward mode.

    Solvers are equal if these two are equal, whatever their labels.

    Attributes:
        label: the call that makes it, as it stands in tables: ``restarted_jfb(10, 10)``.
        forward_solver: ``(T, x0) -> FixedPoint``, such as ``Anderson(1e-3)``.
        backward_mode: ``(T, FixedPoint, loss) -> Solution``, such as ``TruncatedBackprop(10)``.
    """

    label: str = field(compare=False)
    forward_solver: ForwardSolver
    backward_mode: BackwardMode

    @property
    def composition(self) -> str:
        """Forward solver × backward mode, with every setting."""
        return f"{self.forward_solver!r} × {self.backward_mode!r}"

    def __post_init__(self) -> None:
        check_part("forward_solver", self.forward_solver, "Anderson(1e-3)")
        check_part("backward_mode", self.backward_mode, "TruncatedBackprop(10)")

    def __call__(self, T: Map, x0: Tensor, loss: Loss | None = None, /, u0: Tensor | None = None) -> Solution:
        """Solve ``x = T(x)`` from ``x0``.

        Autocast applies to T alone: states, and the solver's computations with them, keep the dtype of ``x0``.

        Args:
            T: the map; gradients flow into the parameters it closes over. If it changes its argument it gets copies,
                and if it returns one buffer again and again its values are copied.
            x0: the start, of any shape and of a floating or complex dtype. No gradient flows into it, and it is not
                changed.
            loss: the loss of the solution. ``certified`` and ``estimated`` need it to decide when the gradient is
                accurate enough; estimators of a fixed depth ignore it.
            u0: the adjoint of the same samples at an earlier visit, ``Solution.adjoints[-1]`` of that visit, of the
                shape, dtype and device of ``x0``; 0 for a sample that was never visited. Implicit differentiation
                starts there, which takes one product to measure, and saves those that led there. Truncated modes and
                ``certified`` ignore it.

        Returns:
            A solution whose ``x`` has the shape, dtype and device of ``x0``.

        Raises:
            TypeError: T or the loss is no function, or x0 no dense tensor of a floating or complex dtype; T returns
                no tensor, or another dtype; u0 is no tensor, or has another dtype than x0; the forward solver returns
                no ``FixedPoint``.
            ValueError: T returns another shape or device, u0 has another, or T writes to memory of its earlier values.
            RuntimeError: a transform of ``torch.func`` is active, which the backward mode does not support.
        """
        if in_transform() and not getattr(self.backward_mode, "transformable", True):
            raise transform_error(self.label)
        with no_tape():
            start = checked_start(T, x0, loss)
            adjoint = None if u0 is None else checked_adjoint(u0, start)
        guard = GuardedMap(T, AutocastState.around(start))
        with guard.autocast.disabled(), explained_transform_errors(self.label):
            with no_tape():
                solve = self.forward_solver
                if isinstance(solve, SolvesForLoss):
                    point = solve.solve_for_loss(guard, start, loss)
                else:
                    point = solve(guard, start)
            if not isinstance(point, FixedPoint):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(
                    f"a forward solver must return a FixedPoint; {self.forward_solver!r} returned {type_name(point)}"
                )
            if adjoint is not None:
                point = replace(point, adjoint=adjoint)
            solution = self.backward_mode(guard, point, loss)
        return _finished(solution, guard)


def _finished(solution: Solution, guard: GuardedMap) -> Solution:
    solution.recomputed.extend([1] * guard.repeated)
    x = solution.x
    if guard.points_on_tape and x.requires_grad:
        tape, points = tape_ends(x), {id(point) for point in guard.points_on_tape}
        if not tape.opaque and all(id(leaf) in points for leaf in tape.leaves):
            solution = replace(solution, x=x.detach())  # no parameter on the tape: T itself put a point on it
    guard.release()
    return solution
