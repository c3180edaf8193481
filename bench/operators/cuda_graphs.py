"""A map as CUDA graphs: an application without a tape, one with a tape, and a product with its Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from solvers import AdjointStages, DerivativeBounds, Map

from . import BoundOperator, Operator
from .counts import WeightedNormal
from .normal import WithPower

WARM_UP = 3
"""Applications before the capture, in which libraries choose their algorithms and workspaces."""


class StaysEager(Exception):  # noqa: N818 (an outcome, not an error)
    """The reason, in one line, why a map stays eager."""


class Capture:
    """One map as CUDA graphs on static memory, with one tape. Results are copies.

    Args:
        T: the map; it must not synchronise with the host.
        like: a state; raises ``StaysEager`` if it is not on a GPU.
    """

    def __init__(self, T: Map, like: Tensor) -> None:
        if not like.is_cuda:
            raise StaysEager("CUDA graphs need a GPU")
        self._x = like.detach().clone()
        self._taped_x = like.detach().clone().requires_grad_()
        self._v = torch.ones_like(self._x)
        current, side = torch.cuda.current_stream(like.device), torch.cuda.Stream(like.device)
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                with torch.no_grad():
                    T(self._x)
                with torch.enable_grad():
                    torch.autograd.grad(T(self._taped_x), self._taped_x, self._v)
        current.wait_stream(side)
        # In a memory pool of its own: its scratch memory must not overwrite a tape.
        self._value_graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(self._value_graph):
            self._y = T(self._x)
        self._record_graph, self._vjp_graph = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.enable_grad(), torch.cuda.graph(self._record_graph):
            self._taped_y = T(self._taped_x)
        # In the pool of the tape, which it reads.
        with torch.cuda.graph(self._vjp_graph, pool=self._record_graph.pool()):
            (self._vjp,) = torch.autograd.grad(self._taped_y, self._taped_x, self._v, retain_graph=True)

    def value(self, x: Tensor) -> Tensor:
        """``T(x)`` without a tape."""
        self._x.copy_(x)
        self._value_graph.replay()
        return self._y.clone()

    def record(self, x: Tensor) -> Tensor:
        """``T(x)`` with a tape, which replaces the previous tape."""
        with torch.no_grad():
            self._taped_x.copy_(x)
        self._record_graph.replay()
        return self._taped_y.detach().clone()

    def vjp(self, v: Tensor) -> Tensor:
        """``Jᵀv`` through the tape of the last ``record``."""
        self._v.copy_(v)
        self._vjp_graph.replay()
        return self._vjp.clone()


@dataclass(slots=True, eq=False)
class StaticMemory:
    """Memory of a capture, shared by all maps of one operator with measurements of one shape.

    Each replay first loads the measurements of its map, and records a tape again if another tape has replaced it.

    Attributes:
        static: the operator with the measurements that the graphs ``replay`` read.
        shape: shape of the states.
        loaded: the map whose measurements ``static`` has.
        tapes, tape: number of tapes so far, and of the tape in memory.
    """

    static: BoundOperator
    replay: Capture
    shape: torch.Size
    loaded: BoundOperator | None = None
    tapes: int = 0
    tape: int = 0
    _pointers: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._pointers = _addresses(self.static.operator)

    def serves(self, bound: BoundOperator) -> bool:
        """Whether the graphs are of this operator and physics, and no parameter has moved in memory."""
        static = self.static
        same = bound.operator is static.operator and bound.physics is static.physics
        return same and bound.y.shape == static.y.shape and _addresses(bound.operator) == self._pointers

    def value(self, bound: BoundOperator, x: Tensor) -> Tensor:
        """``T(x)`` without a tape."""
        self._load(bound)
        return self.replay.value(x)

    def record(self, bound: BoundOperator, x: Tensor) -> tuple[Tensor, int]:
        """``T(x)`` with a tape, and the number of the tape."""
        self._load(bound)
        y = self.replay.record(x)
        self.tapes += 1
        self.tape = self.tapes
        return y, self.tape

    def vjp(self, bound: BoundOperator, x: Tensor, tape: int, v: Tensor) -> Tensor:
        """``Jᵀv`` at ``x``, through the tape with that number."""
        self._load(bound)
        if self.tape != tape:
            self.replay.record(x)
            self.tape = tape
        return self.replay.vjp(v)

    def _load(self, bound: BoundOperator) -> None:
        if self.loaded is not bound:
            for target, source in zip(_measurements(self.static), _measurements(bound), strict=True):
                target.copy_(source)
            self.loaded = bound


def capture(T: BoundOperator, like: Tensor, make: Callable[[Map, Tensor], Capture]) -> GraphedMap:
    """Capture ``T`` on static memory for states like ``like``.

    Meanwhile the parameters require no gradient, so that the captured tape leads to the state alone. Otherwise the tape
    would keep tensors for the gradients of the parameters, and nodes on the stream of the capture that accumulate them;
    a later ``backward()`` on another stream warns about these.
    """
    static = _copy(T)
    learned = [p for p in T.operator.parameters() if p.requires_grad]
    try:
        for parameter in learned:
            parameter.requires_grad_(False)
        return GraphedMap(T, StaticMemory(static, make(static, like), like.shape, T))
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


class EagerParts:
    """The methods of a prepared map that use the bound operator itself."""

    bound: BoundOperator

    def regularity(self) -> DerivativeBounds | None:
        """Derivative bounds of the bound operator."""
        return self.bound.regularity()

    def stages(self, x: Tensor) -> AdjointStages | None:
        """The stages of the bound operator, eager."""
        return self.bound.stages(x)

    def select(self, index: Tensor) -> Map:
        """The map of the samples at ``index``, eager: their number is another shape, and changes all the time."""
        return self.bound.select(index)


@dataclass(frozen=True, slots=True, eq=False)
class GraphedMap(EagerParts):
    """A bound operator that replays CUDA graphs; once differentiable, in the state and in its parameters.

    Products with the Jacobian in the state are replayed. Gradients in the parameters cost one eager application, made
    when they are asked for. Under a dispatch mode (a certificate perturbs each operation with one) all is eager: a
    replay hides its operations.
    """

    bound: BoundOperator
    memory: StaticMemory

    def __call__(self, x: Tensor) -> Tensor:
        """One iteration."""
        # If parameters were replaced, the graphs would read the old ones.
        if x.shape != self.memory.shape or is_in_torch_dispatch_mode() or not self.memory.serves(self.bound):
            return self.bound(x)
        if not torch.is_grad_enabled():
            return self.memory.value(self.bound, x)
        y = cast(Tensor, _StateGradient.apply(x, self))
        learned = [p for p in self.bound.operator.parameters() if p.requires_grad]
        if not learned:
            return y
        # Parameter gradients go through a separate zero-valued term, so that autograd skips its eager application when
        # only the state's gradient is needed: in each of the many products of an adjoint solve.
        return y + cast(Tensor, _ParameterGradient.apply(x.detach(), self.bound, *learned))


class _StateGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, T: GraphedMap) -> Tensor:
        y, ctx.tape = T.memory.record(T.bound, x)
        ctx.T = T
        ctx.save_for_backward(x)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, v: Tensor
    ) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        if not is_in_torch_dispatch_mode():
            return ctx.T.memory.vjp(ctx.T.bound, x, ctx.tape, v), None
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            y = ctx.T.bound(x)
        return torch.autograd.grad(y, x, v)[0], None


class _ParameterGradient(torch.autograd.Function):
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
            y = ctx.bound(x)
        return None, None, *torch.autograd.grad(y, ctx.learned, v, allow_unused=True)


def _addresses(operator: Operator) -> tuple[int, ...]:
    return tuple(p.data_ptr() for p in operator.parameters())


def _measurements(bound: BoundOperator) -> tuple[Tensor, ...]:
    """The tensors that an application reads and that differ between batches."""
    data, N = bound.data, bound.data.normal
    own = (N.power,) if isinstance(N, WithPower) else (N.weights,) if isinstance(N, WeightedNormal) else ()
    return data.y, data.backprojection, *own


def _copy(bound: BoundOperator) -> BoundOperator:
    """The same operator with measurements on memory of their own."""
    N, y = bound.data.normal, bound.data.y.clone()
    if isinstance(N, WithPower):
        N = replace(N, power=N.power.clone())
    elif isinstance(N, WeightedNormal):
        N = replace(N, weights=N.weights.clone())
    data = replace(bound.data, normal=N, backprojection=bound.data.backprojection.clone(), y=y)
    return replace(bound, y=y, data=data)
