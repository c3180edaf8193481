"""An operator and a solver as a model ``(y, physics) -> image``, which training loops such as deepinv's take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from ._core.input_checks import callable_solver, kind
from ._core.maps import Loss, Map
from .monitor import Monitorable

Step = Callable[[Tensor, Tensor, Any], Tensor]


@runtime_checkable
class Bindable(Protocol):
    """An operator that makes the map of its measurements itself: one whose map knows its ``regularity()``, say."""

    def bind(self, y: Tensor, physics: Any, /) -> Map:
        """``x -> T(x)`` for measurements ``y``."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """An operator that iterates on states: coefficients, or an image beside its momentum."""

    def start(self, image: Tensor, /) -> Tensor:
        """The state from which the iteration starts, for a first guess."""
        ...

    def image(self, state: Tensor, /) -> Tensor:
        """The image of a state."""
        ...


class Reconstructor(nn.Module):
    """``y, physics -> x ≈ T_θ(x; y, physics)``, with the gradient that ``solver`` estimates.

    It has the signature of ``deepinv.models.Reconstructor``, so ``deepinv.Trainer`` trains it; any other loop can,
    with any ``physics`` that its operator takes.

    Args:
        operator: one iteration ``(x, y, physics) -> x`` on images ``(B, C, H, W)``. The parameters of a module are this
            one's too. One with ``bind(y, physics)`` makes the map itself; one with ``start(image)`` and
            ``image(state)`` iterates on states of its own.
        solver: how the equilibrium is reached and differentiated, such as ``restarted_jfb(10, 10)``, or a ``Monitor``
            around that.
        start: ``(y, physics) -> image``, the first guess; ``physics.A_adjoint(y)`` by default.
        loss: ``truth -> loss of a state``, for solvers that ask what will be made of the solution (``certified``, a
            ``Monitor`` that audits); they are told where ``forward`` is given the truth. For a mean squared error:
            ``lambda truth: SmoothLoss(lambda x: (x - truth).square().mean(), 2 / truth.numel())``.

    Raises:
        TypeError: one of them is no function, but a class or a factory, say; in a call, ``physics`` has no
            ``A_adjoint`` and there is no ``start``, or the first guess is no tensor.
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
                f"operator must be a map (x, y, physics) -> x, or have bind(y, physics), not {kind(operator)}"
            )
        callable_solver(solver)
        for name, function in (("start", start), ("loss", loss)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function, not {kind(function)}")
        self.operator, self.solver, self.guess, self.loss = operator, solver, start, loss

    def forward(self, y: Tensor, physics: Any, truth: Tensor | None = None, **_: object) -> Tensor:
        """Reconstruct.

        Args:
            y: measurements.
            physics: what made them.
            truth: the images, where ``loss`` is to know them.

        Returns:
            Images ``(B, C, H, W)``; backpropagating through them gives the gradient estimate.
        """
        operator = self.operator
        T = operator.bind(y, physics) if isinstance(operator, Bindable) else _bound(operator, y, physics)
        image = self._first(y, physics)
        loss = None if self.loss is None or truth is None else self.loss(truth)
        if isinstance(operator, Stateful):
            return operator.image(self.solver(T, operator.start(image), loss).x)
        return self.solver(T, image, loss).x

    def _first(self, y: Tensor, physics: Any) -> Tensor:
        guess = self.guess
        if guess is None and not callable(getattr(physics, "A_adjoint", None)):
            raise TypeError(
                f"{kind(physics)} has no A_adjoint to make the first guess with: give one, "
                "Reconstructor(…, start=lambda y, physics: …)"
            )
        image = physics.A_adjoint(y) if guess is None else guess(y, physics)
        if not isinstance(image, Tensor):
            whose = "physics.A_adjoint" if guess is None else "start"
            raise TypeError(f"the first guess must be a Tensor, and {whose} returned {kind(image)}")
        return image


def _bound(operator: Step, y: Tensor, physics: Any) -> Map:
    def T(x: Tensor) -> Tensor:
        return operator(x, y, physics)

    return T
