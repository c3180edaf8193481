"""A map made ready for one shape: compiled, or captured as CUDA graphs; any solver takes it in place of the map."""

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

from solvers import DerivativeBounds, Map

from ..utils.errors import in_a_line
from . import BoundOperator, Operator, PlugAndPlay
from .cuda_graphs import Capture, GraphedMap, StaysEager, capture

ExecutionMode: TypeAlias = Literal["eager", "compiled", "graphed"]
"""How T is applied.

``compiled``: without a tape by ``torch.compile``, with one eagerly, since compiled products were slower than eager
ones (on a CPU). ``graphed``: by CUDA graphs, with and without a tape. Estimators with one application on the tape
(``jfb``, ``neumann``, ``deq``, ``implicit``, ``certified``) can win by graphs. K applications on the tape cost more
than eager ones: open tapes share one memory, so that K − 1 are run again on the way back, and each asks for an eager
application and product for the parameters. ``unrolled`` loses therefore.
"""

BACKEND = "inductor"
"""Of ``torch.compile``."""
ROUNDING = 1e4
"""What compiled code may differ by, in units of the rounding of its dtype, relative to the largest entry."""
MOST = 400
"""Characters of a reason."""


_FAILED: dict[tuple[object, ...], str] = {}
"""Why compiling failed in this process, for each kind of map: it is not tried twice."""


@dataclass(frozen=True, slots=True)
class PreparedMap:
    """What came of a wish.

    Attributes:
        T: the map to solve with; the same values as the one given, up to rounding.
        how: how it is applied in truth.
        why: in one line, why that is not what was wished for; empty where it is.
        seconds: what it took to make ready.
    """

    T: Map
    how: ExecutionMode
    why: str = ""
    seconds: float = 0.0

    def rebound(self, T: Map) -> PreparedMap | None:
        """What was made ready, for other measurements of the same shape: nothing is compiled or captured.

        ``None`` where it does not serve: graphs of another operator, or of parameters that have moved in memory.

        Args:
            T: the operator with those measurements, of ``Operator.bind``.
        """
        if isinstance(self.T, CompiledMap) and isinstance(T, BoundOperator):
            return replace(self, T=replace(self.T, bound=T))
        if isinstance(self.T, GraphedMap) and isinstance(T, BoundOperator):
            return replace(self, T=replace(self.T, bound=T)) if self.T.memory.serves(T) else None
        return replace(self, T=T)


def wrap(T: Map, like: Tensor, how: ExecutionMode) -> PreparedMap:
    """``T`` made ready for states of the shape, dtype and device of ``like``.

    Compiling takes seconds, once a process for every shape and kind of operator, and capturing a few applications; do
    it once for an operator and a shape, and go on with ``PreparedMap.rebound``. States of another shape, ``select``,
    and what cannot be made ready are applied eagerly, and the answer says why. Parameters are read at every application; an
    optimiser may change them in place.

    Args:
        T: of ``Operator.bind``; anything else stays as it is.
        like: a state.
        how: the wish.
    """
    if how == "eager":
        return PreparedMap(T, "eager")
    if not isinstance(T, BoundOperator):
        return PreparedMap(T, "eager", "its applications differ, or it is no operator of this benchmark")
    start = time.perf_counter()
    try:
        with torch.no_grad():
            made = _compiled(T, like) if how == "compiled" else _graphed(T, like)
    except StaysEager as error:
        return PreparedMap(T, "eager", str(error), time.perf_counter() - start)
    return PreparedMap(made, how, "", time.perf_counter() - start)


def channels_last(operator: Operator) -> Operator:
    """The operator with the weights of its denoiser laid out as a GPU's convolutions like them; values stay.

    For operators without a network nothing changes.
    """
    if isinstance(operator, PlugAndPlay):
        operator.denoiser.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return operator


@dataclass(frozen=True, slots=True, eq=False)
class CompiledMap:
    """A bound operator whose applications without a tape run compiled code, for one shape.

    Where an operation is watched (``peak_bytes`` on a CPU) they are eager: a compiler hides what it does.

    Attributes:
        bound: the operator with its measurements.
        shape: of the states that it was compiled for.
        strides: their layouts; states in another one are copied.
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

    def regularity(self) -> DerivativeBounds | None:
        """That of the bound operator."""
        return self.bound.regularity()

    def select(self, index: Tensor) -> Map:
        """The map of the samples at ``index``, eager: their number is another shape, and changes all the time."""
        return self.bound.select(index)


def _apply(bound: BoundOperator, x: Tensor) -> Tensor:
    return bound(x)


@cache
def _compiler(backend: str | Callable[..., object]) -> Callable[[BoundOperator, Tensor], Tensor]:
    return torch.compile(_apply, fullgraph=True, dynamic=False, backend=backend)


def _compiled(T: BoundOperator, like: Tensor) -> CompiledMap:
    _refuse(T.operator)
    # Of words and sizes alone, so that it holds nothing alive.
    kind = BACKEND, str(T.operator), type(T.physics), T.y.shape, like.shape, like.dtype, like.device
    if kind in _FAILED:
        raise StaysEager(_FAILED[kind])
    eager = T(like)
    made = CompiledMap(T, like.shape, (like.stride(),))
    try:
        # What a compiler warns of is not for this program's filters to turn into errors. The limit is meant for code
        # that changes all the time; here every task, shape and dtype of a process is compiled once.
        with warnings.catch_warnings(), torch._dynamo.config.patch(recompile_limit=256):  # pyright: ignore[reportAttributeAccessIssue]
            warnings.simplefilter("ignore")
            found = made(like)
            if found.stride() != like.stride():  # what it is given from the second application on
                made = replace(made, strides=(like.stride(), found.stride()))
                made(found)
    except Exception as error:  # whatever a compiler may raise: the map itself has just been applied
        _FAILED[kind] = f"torch.compile failed: {in_a_line(error, MOST)}"
        raise StaysEager(_FAILED[kind]) from error
    _agree(found, eager)
    return made


def _graphed(T: BoundOperator, like: Tensor) -> GraphedMap:
    _refuse(T.operator)
    if isinstance(T.operator, PlugAndPlay) and T.operator.autocast:
        raise StaysEager("autocast keeps casts of the weights, which a graph would not renew")
    try:
        made = capture(T, like, Capture)
        found = made(like), *_taped(made, like)
    except StaysEager:
        raise
    except Exception as error:  # a synchronisation or an allocation that capturing forbids
        raise StaysEager(f"capturing failed: {in_a_line(error, MOST)}") from error
    for replayed, eager in zip(found, (T(like), *_taped(T, like)), strict=True):
        _agree(replayed, eager)
    return made


def _taped(T: Map, like: Tensor) -> tuple[Tensor, Tensor]:
    """An application with a tape, and a product with its Jacobian."""
    at = like.detach().clone().requires_grad_()
    with torch.enable_grad():
        image = T(at)
    (pulled,) = torch.autograd.grad(image, at, torch.ones_like(image))
    return image.detach(), pulled


def _refuse(operator: Operator) -> None:
    """A number read off the device would be frozen into the code."""
    if operator.reads_parameters_on_host:
        raise StaysEager("its step follows its parameters through the CPU")


def _agree(found: Tensor, eager: Tensor) -> None:
    gap = float((found - eager).abs().max() / eager.abs().max().clamp_min(torch.finfo(eager.dtype).tiny))
    if not gap <= ROUNDING * torch.finfo(eager.dtype).eps:
        raise StaysEager(f"its values differ from the eager ones by {gap:.1e}")
