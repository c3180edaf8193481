"""A map as CUDA graphs: an application without a tape, one with it, and a product with its Jacobian."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from solvers import Map, Regularity

from .operators import Bound

WARM_UP = 3
"""Applications before capturing: libraries choose their algorithms and their workspace in them."""


class StaysEager(Exception):  # noqa: N818 (an outcome, not an error)
    """In one line, why a map stays eager."""


class Replay(Protocol):
    """One application of a map on static memory, and what it left for the way back."""

    def value(self, x: Tensor, /) -> Tensor:
        """``T(x)`` without a tape."""
        ...

    def run(self, x: Tensor, /) -> Tensor:
        """``T(x)`` with a tape, which takes the place of the last one."""
        ...

    def pull(self, v: Tensor, /) -> Tensor:
        """``Jᵀv`` through the tape of the last ``run``."""
        ...


class Capture:
    """``Replay`` by CUDA graphs. Whatever it returns is a copy; the memory of the graphs is its own.

    Args:
        T: the map; it must not synchronise with the host.
        like: a state on a GPU.
    """

    def __init__(self, T: Map, like: Tensor) -> None:
        self._at = like.detach().clone()
        self._start = like.detach().clone().requires_grad_()
        self._v = torch.ones_like(self._at)
        current, side = torch.cuda.current_stream(like.device), torch.cuda.Stream(like.device)
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                with torch.no_grad():
                    T(self._at)
                with torch.enable_grad():
                    torch.autograd.grad(T(self._start), self._start, self._v)
        current.wait_stream(side)
        # Apart from the others: its scratch memory must not be that of a tape.
        self._value = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(self._value):
            self._image = T(self._at)
        self._run, self._pull = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.enable_grad(), torch.cuda.graph(self._run):
            self._taped = T(self._start)
        with torch.cuda.graph(self._pull, pool=self._run.pool()):
            (self._pulled,) = torch.autograd.grad(self._taped, self._start, self._v, retain_graph=True)

    def value(self, x: Tensor) -> Tensor:
        """``T(x)`` without a tape."""
        self._at.copy_(x)
        self._value.replay()
        return self._image.clone()

    def run(self, x: Tensor) -> Tensor:
        """``T(x)`` with a tape."""
        with torch.no_grad():
            self._start.copy_(x)
        self._run.replay()
        return self._taped.detach().clone()

    def pull(self, v: Tensor) -> Tensor:
        """``Jᵀv``."""
        self._v.copy_(v)
        self._pull.replay()
        return self._pulled.clone()


@dataclass(slots=True, eq=False)
class Graphed:
    """A bound operator that replays; once differentiable, in the state and in its parameters.

    Products with the Jacobian in the state are replayed. Gradients in the parameters come from one eager application,
    made when they are asked for. Where two tapes are open at once, the older is run again before it is used.

    Attributes:
        bound: the operator with its measurements.
        replay: its graphs.
        shape: of the states that they were captured for.
        tapes: how many there have been.
        owner: the number of the one that the static memory holds.
    """

    bound: Bound
    replay: Replay
    shape: torch.Size
    tapes: int = 0
    owner: int = 0
    _where: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self._where = self._addresses()

    def regularity(self) -> Regularity | None:
        """That of the bound operator."""
        return self.bound.regularity()

    def __call__(self, x: Tensor) -> Tensor:
        """One iteration."""
        # Where parameters were replaced, the graphs read the old ones.
        if x.shape != self.shape or self._addresses() != self._where:
            return self.bound(x)
        if not torch.is_grad_enabled():
            return self.replay.value(x)
        image = cast(Tensor, _State.apply(x, self))
        learned = [p for p in self.bound.operator.parameters() if p.requires_grad]
        # Apart, and of value zero: an engine that is asked for the state alone leaves it out.
        return image + cast(Tensor, _Parameters.apply(x.detach(), self.bound, *learned)) if learned else image

    def pick(self, index: Tensor) -> Map:
        """The map of the samples at ``index``, eager."""
        return self.bound.pick(index)

    def _addresses(self) -> tuple[int, ...]:
        return tuple(p.data_ptr() for p in self.bound.operator.parameters())


class _State(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, T: Graphed) -> Tensor:
        out = T.replay.run(x)
        T.tapes += 1
        T.owner = T.tapes
        ctx.T, ctx.mine = T, T.owner
        ctx.save_for_backward(x)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, v: Tensor
    ) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        if ctx.T.owner != ctx.mine:
            ctx.T.replay.run(x)
            ctx.T.owner = ctx.mine
        return ctx.T.replay.pull(v), None


class _Parameters(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: Bound, *learned: Tensor) -> Tensor:
        ctx.bound, ctx.learned = bound, learned
        ctx.save_for_backward(x)
        return torch.zeros_like(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, v: Tensor
    ) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            out = ctx.bound(x)
        return None, None, *torch.autograd.grad(out, ctx.learned, v, allow_unused=True)
