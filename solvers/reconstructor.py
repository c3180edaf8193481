"""An operator and a solver as a model ``(y, physics) -> image`` for training loops such as deepinv's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from ._core.input_checks import require_solver, type_name
from ._core.maps import Loss, Map
from .monitor import Monitorable

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
        solver: the solver, such as ``restarted_jfb(10, 10)``, or a ``GradientMonitor`` around it.
        start: ``(y, physics) -> image``, the first guess; ``physics.A_adjoint(y)`` by default.
        loss: ``truth -> (state -> loss)``, for solvers that need the loss (``certified``, a ``GradientMonitor`` that
            audits); used if ``forward`` is given the truth. For a mean squared error:
            ``lambda truth: SmoothLoss(lambda x: (x - truth).square().mean(), 2 / truth.numel())``.

    Raises:
        TypeError: an argument is a class, a factory or no function; in a call, ``physics`` has no ``A_adjoint`` and
            there is no ``start``, or the first guess is no tensor.
    """

    def __init__(
        self,
        operator: Step | Bindable,
        solver: Monitorable,
        *,
        start: Callable[[Tensor, Any], Tensor] | None = None,
        loss: Callable[[Tensor], Loss] | None = None,
    ) -> None:
        super().__init__()
        if isinstance(operator, type) or not (callable(operator) or hasattr(operator, "bind")):
            raise TypeError(
                f"operator must be a map (x, y, physics) -> x, or have bind(y, physics), not {type_name(operator)}"
            )
        require_solver(solver)
        for name, function in (("start", start), ("loss", loss)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function, not {type_name(function)}")
        self.operator, self.solver, self.guess, self.loss = operator, solver, start, loss

    def forward(self, y: Tensor, physics: Any, truth: Tensor | None = None, **_: object) -> Tensor:
        """Reconstruct.

        Args:
            y: measurements.
            physics: the operator of the measurements.
            truth: true images, for ``loss``.

        Returns:
            Images ``(B, C, H, W)``; backpropagating through them gives the gradient estimate.
        """
        operator = self.operator
        T = operator.bind(y, physics) if isinstance(operator, Bindable) else _bound(operator, y, physics)
        image = self._first_guess(y, physics)
        loss = None if self.loss is None or truth is None else self.loss(truth)
        if isinstance(operator, Stateful):
            state = self.solver(T, operator.start(image), loss).x
            return T.image(state) if isinstance(T, ReadsImages) else operator.image(state)
        return self.solver(T, image, loss).x

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
