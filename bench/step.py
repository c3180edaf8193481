"""A map made ready for one shape: compiled, or captured as CUDA graphs; any solver takes it in place of the map."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from solvers import Map, Regularity

from .graphs import Capture, Graphed, StaysEager
from .operators import Bound, CoupledPenalty, ForwardBackward, Operator, PlugAndPlay

Step: TypeAlias = Literal["eager", "compiled", "graphed"]
"""How T is applied.

``compiled``: without a tape by ``torch.compile``, with one eagerly, since compiled products were slower than eager
ones (on a CPU). ``graphed``: by CUDA graphs, with and without a tape.
"""

BACKEND = "inductor"
"""Of ``torch.compile``."""
ROUNDING = 1e4
"""What compiled code may differ by, in units of the rounding of its dtype, relative to the largest entry."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What came of a wish.

    Attributes:
        T: the map to solve with; the same values as the one given, up to rounding.
        how: how it is applied in truth.
        why: in one line, why that is not what was wished for; empty where it is.
        seconds: what it took to make ready.
    """

    T: Map
    how: Step
    why: str = ""
    seconds: float = 0.0


def wrap(T: Map, like: Tensor, how: Step) -> Wrapped:
    """``T`` made ready for states of the shape, dtype and device of ``like``.

    It pays for itself where T is applied hundreds of times: compiling takes seconds, once a process for every shape and
    kind of operator, and capturing a few applications, once for every map. States of another shape, ``pick``, and what
    cannot be made ready are applied eagerly, and the answer says why. Parameters are read at every application; an
    optimiser may change them in place.

    Args:
        T: of ``Operator.bind``; anything else stays as it is.
        like: a state.
        how: the wish.
    """
    if how == "eager":
        return Wrapped(T, "eager")
    if not isinstance(T, Bound):
        return Wrapped(T, "eager", "its applications differ, or it is no operator of this benchmark")
    start = time.perf_counter()
    try:
        with torch.no_grad():
            made = _compiled(T, like) if how == "compiled" else _graphed(T, like)
    except StaysEager as error:
        return Wrapped(T, "eager", str(error), time.perf_counter() - start)
    return Wrapped(made, how, "", time.perf_counter() - start)


def channels_last(operator: Operator) -> Operator:
    """The operator with the weights of a denoiser laid out as a GPU's convolutions like them; values stay.

    On a CPU, and for operators without a network, nothing changes.
    """
    if isinstance(operator, PlugAndPlay) and next(operator.parameters()).is_cuda:
        operator.denoiser.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return operator


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A bound operator whose applications without a tape run compiled code, for one shape.

    Attributes:
        bound: the operator with its measurements.
        shape: of the states that it was compiled for.
    """

    bound: Bound
    shape: torch.Size

    def __call__(self, x: Tensor) -> Tensor:
        """One iteration."""
        if torch.is_grad_enabled() or x.shape != self.shape:
            return self.bound(x)
        return _compiler(self.bound, x)

    def regularity(self) -> Regularity | None:
        """That of the bound operator."""
        return self.bound.regularity()

    def pick(self, index: Tensor) -> Map:
        """The map of the samples at ``index``, eager: their number is another shape, and changes all the time."""
        return self.bound.pick(index)


def _apply(bound: Bound, x: Tensor) -> Tensor:
    return bound(x)


def _compiler(bound: Bound, x: Tensor) -> Tensor:
    # Every task, shape and dtype of a process is compiled once; the limit is meant for code that changes all the time.
    with torch._dynamo.config.patch(recompile_limit=256):  # pyright: ignore[reportAttributeAccessIssue]
        return torch.compile(_apply, fullgraph=True, dynamic=False, backend=BACKEND)(bound, x)


def _compiled(T: Bound, like: Tensor) -> Compiled:
    _refuse(T.operator)
    eager = T(like)
    made = Compiled(T, like.shape)
    try:
        found = made(like)
    except Exception as error:  # whatever a compiler may raise: the map itself has just been applied
        raise StaysEager(f"torch.compile failed: {_line(error)}") from error
    gap = float((found - eager).abs().max() / eager.abs().max().clamp_min(torch.finfo(eager.dtype).tiny))
    if not gap <= ROUNDING * torch.finfo(eager.dtype).eps:
        raise StaysEager(f"the compiled step differs from the eager one by {gap:.1e}")
    return made


def _graphed(T: Bound, like: Tensor) -> Graphed:
    if not like.is_cuda:
        raise StaysEager("CUDA graphs need a GPU")
    _refuse(T.operator)
    if isinstance(T.operator, PlugAndPlay) and T.operator.autocast:
        raise StaysEager("autocast keeps casts of the weights, which a graph would not renew")
    try:
        return Graphed(T, Capture(T, like), like.shape)
    except Exception as error:  # a synchronisation or an allocation that capturing forbids
        raise StaysEager(f"capturing failed: {_line(error)}") from error


def _refuse(operator: Operator) -> None:
    """A number read off the device would be frozen into the code."""
    if isinstance(operator, ForwardBackward) and isinstance(operator.prior, CoupledPenalty):
        raise StaysEager("its step follows its parameters through the CPU")


def _line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
