"""What a backward pass leaves behind of the applications on the tape: all that a certificate is computed from."""

# Hooks carry no types.
# pyright: reportUnknownMemberType=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ._core import Map


@dataclass(slots=True)
class Taped:
    """One application ``y = T(x)`` on a tape, and what the last backward pass pulled through it.

    Attributes:
        x, y: the point and the value, without a tape.
        u: the cotangent that reached y.
        a: ``J(x)ᵀu``, what went on to x.
        run: the number of that backward pass; −1 before the first.
    """

    x: Tensor
    y: Tensor
    u: Tensor | None = None
    a: Tensor | None = None
    run: int = -1


def last_pass(taped: Sequence[Taped]) -> list[Taped]:
    """Those that the last backward pass went through: not what was taped for products alone, or again on the way."""
    latest = max((kept.run for kept in taped), default=-1)
    return [kept for kept in taped if kept.run == latest and kept.u is not None]


@dataclass(slots=True)
class Watch:
    """A map that keeps what passes through its applications on a tape; without a tape it is ``T`` itself.

    Any algorithm can be given it in place of ``T``: the gradient that backpropagation returns is ``Σ B(x_k)ᵀu_k`` over
    the applications kept here (plus ``∂ℓ/∂θ``), whatever the algorithm did between them. Kept are four tensors
    of the size of x for each; products of an adjoint solve pass too, and the last one stays, which is the one that
    reaches the parameters.

    Attributes:
        T: the map.
        taped: the applications on the tape, in order.
    """

    T: Map
    taped: list[Taped] = field(default_factory=list[Taped])

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        if not torch.is_grad_enabled():
            return self.T(x)
        # An alias of its own: what other paths lead to x does not belong to J(x)ᵀu.
        start = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
        y = self.T(start)
        if not y.requires_grad:
            return y
        kept = Taped(start.detach(), y.detach())
        self.taped.append(kept)
        value = y.view_as(y)

        def reached(u: Tensor) -> None:
            # Products of an adjoint solve are passes of their own: the last one is that of the gradient.
            kept.u, kept.run = u.detach(), torch._C._current_graph_task_id()  # pyright: ignore[reportPrivateUsage]

        def went_on(a: Tensor) -> None:
            kept.a = a.detach()

        start.register_hook(went_on)
        value.register_hook(reached)
        return value
