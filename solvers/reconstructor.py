"""An operator and a solver as a model ``(y, physics) -> image`` for training loops such as deepinv's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ._core.argument_checks import at_least
from ._core.input_checks import require_solver, type_name
from ._core.maps import Loss, Map
from ._core.results import Solution
from ._core.solver import Solver
from .last_solve import LastSolve, look_at
from .log_writers import SolveLog
from .monitor import GradientMonitor, Monitorable
from .optim_operator import OptimOperator
from .solver_text import parse_solver
from .warm_starts import WarmStarts, numbers

Step = Callable[[Tensor, Tensor, Any], Tensor]


@runtime_checkable
class Bindable(Protocol):
    """An operator that makes the map of its measurements itself, e.g. a map with a ``regularity()``."""

    def bind(self, y: Tensor, physics: Any, /) -> Map:
        """Return ``x -> T(x)`` for measurements ``y``."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """An operator that iterates on states: coefficients, or an image with its momentum."""

    def start(self, image: Tensor, /) -> Tensor:
        """Return the state that the iteration starts from, for a first guess."""
        ...

    def image(self, state: Tensor, /) -> Tensor:
        """Return the image of a state."""
        ...


@runtime_checkable
class ReadsImages(Protocol):
    """A map that turns its states into images, where that takes the measurements."""

    def image(self, state: Tensor, /) -> Tensor:
        """Return the image of a state."""
        ...


class Reconstructor(nn.Module):
    """``y, physics -> x ≈ T_θ(x; y, physics)``, with the gradient that ``solver`` estimates.

    It has the signature of ``deepinv.models.Reconstructor``, so ``deepinv.Trainer`` can train it. Any other loop can
    too, with any ``physics`` that its operator takes.

    Args:
        operator: one iteration ``(x, y, physics) -> x`` on images ``(B, C, H, W)``; the parameters of a module become
            parameters of this one. If it has ``bind(y, physics)``, that makes the map; if it has ``start(image)`` and
            ``image(state)``, it iterates on states, which the map's own ``image`` turns into images if it has one.
        solver: the solver, such as ``restarted_jfb(10, 10)``, its label as a text, or a ``GradientMonitor`` around it.
        start: ``(y, physics) -> image``, the first guess; ``physics.A_adjoint(y)`` by default.
        loss: ``truth -> (state -> loss)``, for solvers that need the loss (``certified``, a ``GradientMonitor`` that
            audits); used if ``forward`` is given the truth. For a mean squared error:
            ``lambda truth: SmoothLoss(lambda x: (x - truth).square().mean(), 2 / truth.numel())``.
        warm: starts each solve where the last one of the same sample ended, and its adjoint solve at the last adjoint
            (not through a ``GradientMonitor``). States are kept after a backward pass in training mode, and used in
            training mode alone: an evaluation, and a call under ``torch.no_grad``, starts cold and keeps nothing.
        measure: n; the solves 0, n, 2n, … of training measure ``‖∂T/∂x‖`` and the residual where they end, which takes
            one application and 20 products with J and Jᵀ each. 0 measures nothing.
        log: called at the end of each backward pass with its number and ``last.values``: see ``log_to_tensorboard``.

    Warns:
        EquilibriumWarning: a solve diverged, or a measured ``‖∂T/∂x‖`` is 1 or more.

    Raises:
        TypeError: an argument is a class, a factory or no function; in a call, ``physics`` has no ``A_adjoint`` and
            there is no ``start``, the first guess is no tensor, or a keyword is unknown.
        ValueError: the text of a solver cannot be read; ``measure`` is below 0; in a call in training mode with
            ``warm``, no index is known, or it has not one integer a sample.
    """

    def __init__(
        self,
        operator: Step | Bindable,
        solver: Monitorable | str,
        *,
        start: Callable[[Tensor, Any], Tensor] | None = None,
        loss: Callable[[Tensor], Loss] | None = None,
        warm: WarmStarts | None = None,
        measure: int = 0,
        log: SolveLog | None = None,
    ) -> None:
        super().__init__()
        if isinstance(operator, type) or not (callable(operator) or hasattr(operator, "bind")):
            raise TypeError(
                f"operator must be a map (x, y, physics) -> x, or have bind(y, physics), not {type_name(operator)}"
            )
        solver = parse_solver(solver) if isinstance(solver, str) else solver
        require_solver(solver)
        at_least("measure", measure, 0)
        for name, function in (("start", start), ("loss", loss), ("log", log)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function, not {type_name(function)}")
        if warm is not None and not isinstance(warm, WarmStarts):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"warm must be WarmStarts(), not {type_name(warm)}")
        self.operator, self.solver, self.guess, self.loss = operator, solver, start, loss
        self.warm = warm
        self.measure, self.log = measure, log
        self._last: LastSolve | None = None
        self._solves = 0

    @classmethod
    def from_optim(
        cls,
        optim: nn.Module,
        solver: Monitorable | str = "deq(1e-4)",
        *,
        loss: Callable[[Tensor], Loss] | None = None,
        warm: WarmStarts | None = None,
        measure: int = 100,
        log: SolveLog | None = None,
    ) -> Reconstructor:
        """Make a model of an algorithm of deepinv, such as ``PGD(…, unfold=True)``, at its equilibrium.

        Args:
            optim: the algorithm: see ``OptimOperator``. It starts where deepinv starts it.
            solver, loss, warm, measure, log: those of the class; here, ``‖∂T/∂x‖`` is measured in every 100th solve.

        Raises:
            TypeError, ValueError: those of ``OptimOperator`` and of the class.
        """
        operator = OptimOperator(optim)
        return cls(
            operator, solver, start=operator.first_guess, loss=loss, warm=warm, measure=measure, log=log
        )

    @property
    def last(self) -> LastSolve | None:
        """Outcome of the last solve, with the certificates of a ``GradientMonitor``; ``None`` before the first."""
        if (
            self._last is not None
            and isinstance(self.solver, GradientMonitor)
            and self.solver.latest is not None
        ):
            return replace(self._last, certificates=[self.solver.latest])
        return self._last

    def forward(
        self,
        y: Tensor,
        physics: Any,
        truth: Tensor | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """Reconstruct.

        Args:
            y: measurements.
            physics: the operator of the measurements.
            truth: true images, for ``loss``.
            index: the number of each sample in the data set, ``(B,)`` integers, for ``warm``; by default that which
                came with the data, ``physics.sample_index``.

        Returns:
            Images ``(B, C, H, W)``; backpropagating through them gives the gradient estimate.
        """
        operator = self.operator
        T = operator.bind(y, physics) if isinstance(operator, Bindable) else _bound(operator, y, physics)
        image = self._first_guess(y, physics)
        loss = None if self.loss is None or truth is None else self.loss(truth)
        if isinstance(operator, Stateful):
            state = self._solve(T, operator.start(image), loss, physics, index)
            return T.image(state) if isinstance(T, ReadsImages) else operator.image(state)
        return self._solve(T, image, loss, physics, index)

    def _solve(self, T: Map, cold: Tensor, loss: Loss | None, physics: Any, index: Tensor | None) -> Tensor:
        warm = self.warm if self.training and torch.is_grad_enabled() else None
        if warm is not None and index is None:
            index = warm.handed_over(physics)
        if warm is None or index is None:
            return self._looked_at(T, self.solver(T, cold, loss))
        samples = numbers(index, len(cold))
        x0, u0 = warm.starts(samples, cold)
        solver = self.solver
        solution = solver(T, x0, loss, u0=u0) if isinstance(solver, Solver) else solver(T, x0, loss)
        _keep_after_backward(warm, samples, solution)
        return self._looked_at(T, solution)

    def _looked_at(self, T: Map, solution: Solution) -> Tensor:
        training = self.training and solution.x.requires_grad
        due = training and self.measure > 0 and self._solves % self.measure == 0
        self._solves += training
        self._last = look_at(T, solution, measure=due)
        if self.log is not None and training:
            self._log_after_backward(self.log, self._solves - 1, solution)
        return solution.x

    def _log_after_backward(self, log: SolveLog, number: int, solution: Solution) -> None:
        def write() -> None:
            if self.last is not None:
                log(number, self.last.values)

        _at_the_end_of_backward(solution.x, write)

    def _first_guess(self, y: Tensor, physics: Any) -> Tensor:
        guess = self.guess
        if guess is None and not callable(getattr(physics, "A_adjoint", None)):
            raise TypeError(
                f"{type_name(physics)} has no A_adjoint to make the first guess with: give one, "
                "Reconstructor(…, start=lambda y, physics: …)"
            )
        image = physics.A_adjoint(y) if guess is None else guess(y, physics)
        if not isinstance(image, Tensor):
            name = "physics.A_adjoint" if guess is None else "start"
            raise TypeError(f"the first guess must be a Tensor, and {name} returned {type_name(image)}")
        return image


def _bound(operator: Step, y: Tensor, physics: Any) -> Map:
    def T(x: Tensor) -> Tensor:
        return operator(x, y, physics)

    return T


def _keep_after_backward(warm: WarmStarts, samples: list[int], solution: Solution) -> None:
    state, adjoints = solution.x.detach(), solution.adjoints
    _at_the_end_of_backward(solution.x, lambda: warm.keep(samples, state, adjoints))


def _at_the_end_of_backward(x: Tensor, call: Callable[[], None]) -> None:
    """Call a function at the end of the backward pass through x; the adjoint is solved for after its hooks."""

    def queue(_: Tensor) -> None:
        torch.autograd.Variable._execution_engine.queue_callback(  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage, reportUnknownMemberType]
            call
        )

    if x.requires_grad:
        x.register_hook(queue)  # pyright: ignore[reportUnknownMemberType]
