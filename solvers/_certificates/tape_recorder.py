"""What a backward pass leaves behind of the applications on the tape: all that a certificate is computed from."""

# Hooks carry no types.
# pyright: reportUnknownMemberType=false
from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .._core.maps import Map
from .._core.tape import Versions, current_pass, ends
from .rounding import Rounding

_NUMBERS = itertools.count()


@dataclass(slots=True)
class TapedApplication:
    """One application ``y = T(x)`` on a tape, and what the last backward pass pulled through it.

    Nothing is kept by reference: x, y, u and a are copies, which no buffer that is used again can change.

    Attributes:
        x, y: the point and the value, without a tape.
        u: the cotangent that reached y.
        a: ``J(x)ᵀu``, what went on to x in the same pass; ``None`` where nothing did, as ``torch.autograd.grad`` and
            ``backward(inputs=…)`` leave out what nobody asked for.
        run: the number of that backward pass; −1 before the first.
        order: of all cotangents that reached any value, the how manieth it was; −1 where nobody counted.
        map: T; ``None`` where nobody told.
        leaves: of the tape of this application, without x; ``None`` where nobody looked.
        versions: of the leaves, when T was applied; ``None`` where nobody looked.
        rounding: about what the application and products with its derivatives round off, if somebody has looked.
    """

    x: Tensor
    y: Tensor
    u: Tensor | None = None
    a: Tensor | None = None
    run: int = -1
    order: int = -1
    map: Map | None = None
    leaves: tuple[Tensor, ...] | None = None
    versions: Versions | None = None
    rounding: Rounding | None = None

    @property
    def stepped(self) -> bool:
        """Whether a leaf was changed in place since."""
        return self.versions is not None and self.versions.stepped is not None

    def clear(self) -> None:
        """Let go of everything, though hooks on a tape may live on."""
        self.x = self.y = self.x.new_empty(0)
        self.u = self.a = self.map = self.leaves = self.versions = None


def last_backward_pass(taped: Sequence[TapedApplication]) -> list[TapedApplication]:
    """Those that the last backward pass went through: not what was taped for products alone, or again on the way."""
    reached = [kept for kept in taped if kept.u is not None]
    if not reached:
        return []
    latest = max(reached, key=lambda kept: (kept.order, kept.run)).run
    return [kept for kept in reached if kept.run == latest]


@dataclass(slots=True)
class TapeRecorder:
    """A map that keeps what passes through its applications on a tape; without a tape it is ``T`` itself.

    Any algorithm can be given it in place of ``T``: the gradient that backpropagation returns is ``Σ B(x_k)ᵀu_k`` over
    the applications kept here (plus ``∂ℓ/∂θ``), whatever the algorithm did between them. Kept are four tensors
    of the size of x for each; products of an adjoint solve pass too, and the last one stays, which is the one that
    reaches the parameters. One backward pass is told of at a time: after a second one, the second.

    Attributes:
        T: the map.
        taped: the applications on the tape, in order.
    """

    T: Map
    taped: list[TapedApplication] = field(default_factory=list[TapedApplication])

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        if not torch.is_grad_enabled():
            return self.T(x)
        # An alias of its own: what other paths lead to x does not belong to J(x)ᵀu.
        start = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
        y = self.T(start)
        if not y.requires_grad:
            return y
        found = ends(y, start=start).leaves
        kept = TapedApplication(
            start.detach().clone(), y.detach().clone(), map=self.T, leaves=found, versions=Versions(found)
        )
        self.taped.append(kept)
        value = y.view_as(y)

        def reached(u: Tensor) -> None:
            # Products of an adjoint solve are passes of their own: the last one is that of the gradient. What an
            # earlier one brought to x is none of this one's.
            kept.u, kept.a = u.detach().clone(), None
            kept.run, kept.order = current_pass(), next(_NUMBERS)

        def went_on(a: Tensor) -> None:
            if kept.run == current_pass():
                kept.a = a.detach().clone()

        start.register_hook(went_on)
        value.register_hook(reached)
        return value
