"""Compile a map, or capture it as CUDA graphs, for one shape; any solver takes the result in place of the map."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from solvers import Map

from ..utils.errors import in_a_line
from . import BoundOperator, Operator, PlugAndPlay
from .cuda_graphs import Capture, EagerParts, GraphedMap, StaysEager, capture

ExecutionMode: TypeAlias = Literal["eager", "compiled", "graphed"]
"""How T is applied.

``compiled``: applications without a tape run code of ``torch.compile``; taped ones are eager, because compiled products
were slower than eager ones on a CPU. ``graphed``: CUDA graphs, with and without a tape. Graphs can pay for estimators
with one taped application. With K taped applications (``unrolled``) they cost more than eager ones: all tapes share one
memory, so the backward pass runs K − 1 applications again, and each needs an eager application for the parameters.
"""

BACKEND = "inductor"
"""Backend of ``torch.compile``."""
TOLERANCE = 1e4
"""Largest difference of compiled and eager values, relative to the largest value, in units of the dtype's rounding."""
MAX_REASON = 400
"""Characters of a reason."""

_FAILED: dict[tuple[object, ...], str] = {}
"""Reasons why compiling failed in this process, for each kind of map: a failed compilation is not tried again."""


@dataclass(frozen=True, slots=True)
class PreparedMap:
    """Result of trying to compile or capture a map.

    Attributes:
        T: the map to solve with; its values equal those of the given map up to rounding.
        reason: why the requested mode is not used, in one line; empty if it is.
        seconds: time that the preparation took.
    """

    T: Map
    mode: ExecutionMode
    reason: str = ""
    seconds: float = 0.0

    def rebound(self, T: Map) -> PreparedMap | None:
        """The prepared map for ``T``, the operator bound to other measurements of the same shape.

        ``None`` if the graphs are of another operator, or its parameters have moved in memory.
        """
        if isinstance(self.T, CompiledMap) and isinstance(T, BoundOperator):
            return replace(self, T=replace(self.T, bound=T))
        if isinstance(self.T, GraphedMap) and isinstance(T, BoundOperator):
            return replace(self, T=replace(self.T, bound=T)) if self.T.memory.serves(T) else None
        return replace(self, T=T)


def prepare_map(T: Map, like: Tensor, mode: ExecutionMode) -> PreparedMap:
    """Prepare ``T``, a result of ``Operator.bind``, for states of the shape, dtype and device of ``like``.

    Compiling takes seconds, once a process for each shape and kind of operator; capturing takes a few applications. Use
    ``PreparedMap.rebound`` for other measurements. States of another shape, ``select``, and maps that cannot be
    prepared are applied eagerly. Parameters are read at every application; an optimiser may change them in place.
    """
    if mode == "eager":
        return PreparedMap(T, "eager")
    if not isinstance(T, BoundOperator):
        return PreparedMap(T, "eager", "its applications differ, or it is no operator of this benchmark")
    start = time.perf_counter()
    try:
        if T.operator.reads_parameters_on_host:  # the number would be frozen into the code
            raise StaysEager("its step follows its parameters through the CPU")
        with torch.no_grad():
            prepared = _compile(T, like) if mode == "compiled" else _capture(T, like)
    except StaysEager as error:
        return PreparedMap(T, "eager", str(error), time.perf_counter() - start)
    return PreparedMap(prepared, mode, "", time.perf_counter() - start)


def channels_last(operator: Operator) -> Operator:
    """Store the weights of the operator's denoiser, if any, in the layout that is fast for convolutions on a GPU."""
    if isinstance(operator, PlugAndPlay):
        operator.denoiser.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return operator


@dataclass(frozen=True, slots=True, eq=False)
class CompiledMap(EagerParts):
    """A bound operator whose applications without a tape run compiled code, for states of one shape.

    Under a dispatch mode (``peak_bytes`` on a CPU counts operations with one) they are eager: compiled code hides its
    operations. States in a layout other than ``strides`` are copied.
    """

    bound: BoundOperator
    shape: torch.Size
    strides: tuple[tuple[int, ...], ...]

    def __call__(self, x: Tensor) -> Tensor:
        """One iteration."""
        if torch.is_grad_enabled() or x.shape != self.shape or is_in_torch_dispatch_mode():
            return self.bound(x)
        if x.stride() not in self.strides:
            x = x.new_empty_strided(self.shape, self.strides[0]).copy_(x)
        return _compiler(BACKEND)(self.bound, x.detach())


def _apply(bound: BoundOperator, x: Tensor) -> Tensor:
    return bound(x)


@cache
def _compiler(backend: str | Callable[..., object]) -> Callable[[BoundOperator, Tensor], Tensor]:
    return torch.compile(_apply, fullgraph=True, dynamic=False, backend=backend)


def _compile(T: BoundOperator, like: Tensor) -> CompiledMap:
    # Texts and sizes alone, so that the key keeps no operator alive.
    kind = BACKEND, str(T.operator), type(T.physics), T.y.shape, like.shape, like.dtype, like.device
    if kind in _FAILED:
        raise StaysEager(_FAILED[kind])
    eager = T(like)
    compiled = CompiledMap(T, like.shape, (like.stride(),))
    try:
        # Warnings of a compiler must not become errors of this program. torch's recompile limit is for code that
        # changes all the time; here, each task, shape and dtype of a process is compiled once.
        with warnings.catch_warnings(), torch._dynamo.config.patch(recompile_limit=256):  # pyright: ignore[reportAttributeAccessIssue]
            warnings.simplefilter("ignore")
            value = compiled(like)
            if value.stride() != like.stride():  # from the second application on, states have this layout
                compiled = replace(compiled, strides=(like.stride(), value.stride()))
                compiled(value)
    except Exception as error:  # from the compiler: the map itself has just been applied
        _FAILED[kind] = f"torch.compile failed: {in_a_line(error, MAX_REASON)}"
        raise StaysEager(_FAILED[kind]) from error
    _check_equal(value, eager)
    return compiled


def _capture(T: BoundOperator, like: Tensor) -> GraphedMap:
    if isinstance(T.operator, PlugAndPlay) and T.operator.autocast:
        raise StaysEager("autocast keeps casts of the weights, which a graph would not renew")
    try:
        graphed = capture(T, like, Capture)
        values = graphed(like), *_value_and_vjp(graphed, like)
    except StaysEager:
        raise
    except Exception as error:  # capturing forbids some synchronisations and allocations
        raise StaysEager(f"capturing failed: {in_a_line(error, MAX_REASON)}") from error
    for replayed, eager in zip(values, (T(like), *_value_and_vjp(T, like)), strict=True):
        _check_equal(replayed, eager)
    return graphed


def _value_and_vjp(T: Map, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        y = T(x)
    (vjp,) = torch.autograd.grad(y, x, torch.ones_like(y))
    return y.detach(), vjp


def _check_equal(value: Tensor, eager: Tensor) -> None:
    gap = float((value - eager).abs().max() / eager.abs().max().clamp_min(torch.finfo(eager.dtype).tiny))
    if not gap <= TOLERANCE * torch.finfo(eager.dtype).eps:
        raise StaysEager(f"its values differ from the eager ones by {gap:.1e}")
