"""A map as CUDA graphs: an application without a tape, one with it, and a product with its Jacobian."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from solvers import DerivativeBounds, Map

from . import BoundOperator, Operator
from .data_fidelity import DiagonalNormal, FourierNormal

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

    Raises:
        StaysEager: the state is not on a GPU.
    """

    def __init__(self, T: Map, like: Tensor) -> None:
        if not like.is_cuda:
            raise StaysEager("CUDA graphs need a GPU")
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
class Memory:
    """The static memory of a capture, shared by maps of one operator with any measurements of one shape.

    Every replay names the map that it is for. What the memory holds of another map, its measurements or its tape, is
    replaced first: measurements are copied, and a tape is run again.

    Attributes:
        static: the operator with the measurements that the graphs read.
        replay: the graphs.
        shape: of the states that they were captured for.
        holds: whose measurements ``static`` has.
        tapes: how many there have been.
        owner: the number of the one that the memory holds.
    """

    static: BoundOperator
    replay: Replay
    shape: torch.Size
    holds: BoundOperator | None = None
    tapes: int = 0
    owner: int = 0
    _where: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._where = _addresses(self.static.operator)

    def serves(self, bound: BoundOperator) -> bool:
        """Whether the graphs are of this operator and physics; not where a parameter has moved in memory."""
        static = self.static
        same = bound.operator is static.operator and bound.physics is static.physics
        return same and bound.y.shape == static.y.shape and _addresses(bound.operator) == self._where

    def value(self, bound: BoundOperator, x: Tensor) -> Tensor:
        """``T(x)`` without a tape."""
        self._load(bound)
        return self.replay.value(x)

    def run(self, bound: BoundOperator, x: Tensor) -> tuple[Tensor, int]:
        """``T(x)`` with a tape, and the number of the tape."""
        self._load(bound)
        out = self.replay.run(x)
        self.tapes += 1
        self.owner = self.tapes
        return out, self.owner

    def pull(self, bound: BoundOperator, x: Tensor, tape: int, v: Tensor) -> Tensor:
        """``Jᵀv`` at ``x``, through a tape that was run for the same map and state."""
        self._load(bound)
        if self.owner != tape:
            self.replay.run(x)
            self.owner = tape
        return self.replay.pull(v)

    def _load(self, bound: BoundOperator) -> None:
        if self.holds is bound:
            return
        for mine, given in zip(_measured(self.static), _measured(bound), strict=True):
            mine.copy_(given)
        self.holds = bound


def capture(T: BoundOperator, like: Tensor, make: Callable[[Map, Tensor], Replay]) -> GraphedMap:
    """``T`` on static memory, made for states like ``like``.

    The parameters require no gradient meanwhile: the tape that is captured leads to the state alone. With them it would
    keep what their gradients need, and their accumulators on the stream of the capture, which a later ``backward()`` on
    another stream complains about.
    """
    static = _copied(T)
    with _constant(T.operator):
        return GraphedMap(T, Memory(static, make(static, like), like.shape, T))


@dataclass(frozen=True, slots=True, eq=False)
class GraphedMap:
    """A bound operator that replays; once differentiable, in the state and in its parameters.

    Products with the Jacobian in the state are replayed. Gradients in the parameters come from one eager application,
    made when they are asked for. Where two tapes are open at once, the older is run again before it is used. Where
    operations are watched (a certificate that shakes each of them, say) all is eager: a replay hides them.

    Attributes:
        bound: the operator with its measurements.
        memory: that of the graphs.
    """

    bound: BoundOperator
    memory: Memory

    def regularity(self) -> DerivativeBounds | None:
        """That of the bound operator."""
        return self.bound.regularity()

    def __call__(self, x: Tensor) -> Tensor:
        """One iteration."""
        # Where parameters were replaced, the graphs read the old ones.
        if x.shape != self.memory.shape or is_in_torch_dispatch_mode() or not self.memory.serves(self.bound):
            return self.bound(x)
        if not torch.is_grad_enabled():
            return self.memory.value(self.bound, x)
        image = cast(Tensor, _State.apply(x, self))
        learned = [p for p in self.bound.operator.parameters() if p.requires_grad]
        # Apart, and of value zero: an engine that is asked for the state alone leaves it out.
        return image + cast(Tensor, _Parameters.apply(x.detach(), self.bound, *learned)) if learned else image

    def select(self, index: Tensor) -> Map:
        """The map of the samples at ``index``, eager."""
        return self.bound.select(index)


class _State(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, T: GraphedMap) -> Tensor:
        out, ctx.tape = T.memory.run(T.bound, x)
        ctx.T = T
        ctx.save_for_backward(x)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, v: Tensor
    ) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        if not is_in_torch_dispatch_mode():
            return ctx.T.memory.pull(ctx.T.bound, x, ctx.tape, v), None
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            out = ctx.T.bound(at)
        return torch.autograd.grad(out, at, v)[0], None


class _Parameters(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: BoundOperator, *learned: Tensor) -> Tensor:
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


@contextmanager
def _constant(operator: Operator) -> Generator[None]:
    """Parameters that require no gradient in here, and those that did require it again afterwards."""
    learned = [p for p in operator.parameters() if p.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


def _addresses(operator: Operator) -> tuple[int, ...]:
    return tuple(p.data_ptr() for p in operator.parameters())


def _measured(bound: BoundOperator) -> tuple[Tensor, ...]:
    """What an application reads of its measurements, as they were bound."""
    N = bound.data.normal
    return (
        bound.data.y,
        bound.data.back,
        *((N.power,) if isinstance(N, FourierNormal | DiagonalNormal) else ()),
    )


def _copied(bound: BoundOperator) -> BoundOperator:
    """The same operator with measurements on memory of their own."""
    N, y = bound.data.normal, bound.data.y.clone()
    if isinstance(N, FourierNormal | DiagonalNormal):
        N = replace(N, power=N.power.clone())
    return replace(bound, y=y, data=replace(bound.data, normal=N, back=bound.data.back.clone(), y=y))
