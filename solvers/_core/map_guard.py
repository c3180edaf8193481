"""The map of a solve, looked at whenever it is applied."""

# The types of autocast, of storages are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from .input_checks import adopt, kind, transformed
from .maps import Map

PROBED = 4
"""Applications whose values are copied until it is known whether T returns the same memory again."""
CHANGES = (
    "T changes its argument, or memory that it has returned before, though it did not at first: let it return a new "
    "tensor, e.g. T(x.clone()).clone()"
)
REUSES = (
    "T writes its value into memory that it has returned before: let it return a new tensor, e.g. by .clone() at "
    "its end"
)
_LEAF = "a leaf Variable that requires grad is being used in an in-place operation"


@dataclass(frozen=True, slots=True)
class AutocastState:
    """The autocast that surrounds a solve: T is applied in it, and the solver's own algebra is not.

    Attributes:
        device: the type of the states' device.
        dtype: that of autocast; ``None`` where there is none.
    """

    device: str
    dtype: torch.dtype | None = None

    @classmethod
    def around(cls, x: Tensor) -> AutocastState:
        """That of this moment."""
        device = x.device.type
        if x.is_meta or not torch.is_autocast_enabled(device):
            return cls(device)
        return cls(device, torch.get_autocast_dtype(device))

    def inside(self) -> torch.autocast | nullcontext[None]:
        """For T."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device, dtype=self.dtype)

    def outside(self) -> torch.autocast | nullcontext[None]:
        """For everything else."""
        return nullcontext() if self.dtype is None else torch.autocast(self.device, enabled=False)


class GuardedMap:
    """A map that is looked at whenever it is applied; for solvers it is the map.

    What T returns must have the shape, dtype and device of its argument. Without a tape the value is detached, though T
    may enable gradients itself. A map that changes its argument is given copies, and one that returns the same memory
    again is copied from: both are noticed in the first applications, none of which is made for that alone. Nothing
    waits for a GPU.

    Attributes:
        T: the map.
        careful: whether the first argument is a copy on a tape too, for a tape that may not be begun again.
        repeated: applications that were made again, since T had changed its argument.
        marked: points without a tape that T has put one on, by ``requires_grad_``.
    """

    def __init__(self, T: Map, precision: AutocastState) -> None:
        self.T, self.precision = T, precision
        self.careful = False
        self.repeated = 0
        self.marked: list[Tensor] = []
        self._made = 0
        self._blind = torch.compiler.is_compiling() or transformed()  # there is no memory to look at
        self._changes = self._reuses = False
        self._returned: dict[int, tuple[StorageWeakRef, int]] = {}
        self._last: Tensor | None = None
        adopt(self, T, partial(_picked, T, precision))

    def __getattr__(self, name: str) -> object:
        """Whatever else T knows."""
        if name.startswith("__") or "T" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.T, name)

    def __reduce__(self) -> tuple[object, ...]:
        """A fresh one: what was seen in one process is of no use in another."""
        return GuardedMap, (self.T, self.precision)

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        if self._blind:
            y = self._apply(x)
            return y if torch.is_grad_enabled() else y.detach()
        return self._taped(x) if torch.is_grad_enabled() else self._untaped(x)

    def release(self) -> None:
        """Let go of what was kept to look at."""
        self._last = None
        self.marked = []

    def _untaped(self, x: Tensor) -> Tensor:
        first = not self._made
        copied = first or self._changes
        # An alias otherwise: T may mark it as requiring a gradient.
        given = x.clone() if copied else x.detach()
        before = version(given)
        y = self._apply(given).detach()
        if version(given) != before or (first and _hidden_change(given, x, y)):
            if not copied:
                raise ValueError(CHANGES)
            self._changes = True
        if not copied and _memory(y) == _memory(x) != 0:
            return y.clone()
        return self._own(y)

    def _taped(self, x: Tensor) -> Tensor:
        first = not self._made and not self._changes
        copied = self._changes or (first and (self.careful or (x.requires_grad and not x.is_leaf)))
        given = x.clone() if copied else x if x.requires_grad else x.detach()
        kept = x.detach().clone() if first and not copied else None
        before, plain = version(given), not given.requires_grad
        try:
            y = self._apply(given)
        except RuntimeError as error:
            if copied or _LEAF not in str(error):
                raise
            return self._again(x)
        if version(given) != before or (first and _hidden_change(given, x if kept is None else kept, y)):
            if kept is not None:
                with torch.no_grad():
                    x.detach().copy_(kept)
                return self._again(x)
            if not copied:
                raise ValueError(CHANGES)
            self._changes = True
        if plain and given.requires_grad:
            self.marked.append(given)
        if not copied and _memory(y) == _memory(x) != 0:
            return y.clone()
        return self._own(y)

    def _again(self, x: Tensor) -> Tensor:
        self._changes = True
        self.repeated += 1
        return self._taped(x)

    def _apply(self, x: Tensor) -> Tensor:
        if self.precision.dtype is None:
            y = self.T(x)
        else:
            with self.precision.inside():
                y = self.T(x)
            if x.dtype == torch.float32 and getattr(y, "dtype", None) == self.precision.dtype:
                y = y.to(x.dtype)  # as autocast means it: the layers in half precision, the state in its own
        _alike(y, x)
        return y

    def _own(self, y: Tensor) -> Tensor:
        """y, or a copy where its memory may be written to again."""
        self._made += 1
        memory = _memory(y)
        if not memory:
            return y
        known = self._returned.get(memory)
        if known is not None and not known[0].expired():
            written = version(y) != known[1] or y.is_inference()
            if written and (y.requires_grad or (self._made > PROBED and not self._reuses)):
                raise ValueError(REUSES)
            self._reuses = True
        probing = self._made <= PROBED
        if probing or self._reuses:
            self._returned[memory] = (StorageWeakRef(y.untyped_storage()), version(y))
        if y.requires_grad:
            # A copy in the first applications would be one on the tape.
            return y.clone() if self._reuses else y
        # Held until the next, since memory that is not T's own may else be given away and come back.
        self._last = y if probing else None
        return y.clone() if probing or self._reuses else y


def _picked(T: Map, precision: AutocastState, index: Tensor) -> Map:
    return GuardedMap(T.select(index), precision)  # pyright: ignore[reportFunctionMemberAccess]


def _alike(y: object, x: Tensor) -> None:
    """Raises ``TypeError`` or ``ValueError`` where ``y = T(x)`` cannot be the next x."""
    if not isinstance(y, Tensor):
        raise TypeError(f"T must return a Tensor like its argument, and returned {kind(y)}")
    if y.shape != x.shape:
        raise ValueError(
            f"T must keep the shape of x: it was given {tuple(x.shape)} and returned {tuple(y.shape)}"
        )
    if y.dtype != x.dtype:
        raise TypeError(
            f"T must keep the dtype of x: it was given {x.dtype} and returned {y.dtype}; cast x0, or the value of T, "
            "e.g. by .to(x.dtype)"
        )
    if y.device != x.device:
        raise ValueError(f"T must keep the device of x: it was given {x.device} and returned {y.device}")
    if y.layout != torch.strided:
        raise TypeError(f"T must return a dense Tensor, and returned the layout {y.layout}")


def version(x: Tensor) -> int:
    """How often x was changed in place; 0 where torch does not count it."""
    return 0 if x.is_inference() else x._version


def _memory(x: Tensor) -> int:
    """Where its storage begins; 0 where it has none."""
    return x.untyped_storage().data_ptr() if x.numel() and not x.is_meta else 0


def _hidden_change(given: Tensor, before: Tensor, y: Tensor) -> bool:
    """Whether T may have changed ``given`` without a trace, as ``.data`` and NumPy do."""
    if given.is_cpu:
        return not torch.equal(given, before)
    # A comparison would wait for the GPU.
    return _memory(y) == _memory(given) != 0
