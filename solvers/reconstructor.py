"""An operator and a solver as a model ``(y, physics) -> image``, which training loops such as deepinv's take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from ._core import Loss, Map
from .monitor import Solves

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
    """

    def __init__(
        self,
        operator: Step | Bindable,
        solver: Solves,
        *,
        start: Callable[[Tensor, Any], Tensor] | None = None,
        loss: Callable[[Tensor], Loss] | None = None,
    ) -> None:
        super().__init__()
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
        image = physics.A_adjoint(y) if self.guess is None else self.guess(y, physics)
        loss = None if self.loss is None or truth is None else self.loss(truth)
        if isinstance(operator, Stateful):
            return operator.image(self.solver(T, operator.start(image), loss).x)
        return self.solver(T, image, loss).x


def _bound(operator: Step, y: Tensor, physics: Any) -> Map:
    def T(x: Tensor) -> Tensor:
        return operator(x, y, physics)

    return T
