"""A guard around the map of a solve, which checks every application."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from .input_checks import copy_protocols, in_transform, type_name
from .maps import Map

PROBED = 4
"""First applications, whose values are copied until it is known whether T reuses the memory of its values."""
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
    """The autocast around a solve: T is applied under it, the solver's own algebra is not. ``dtype`` is None if off."""

    device: str
    dtype: torch.dtype | None = None

    @classmethod
    def around(cls, x: Tensor) -> AutocastState:
        device = x.device.type
        if x.is_meta or not torch.is_autocast_enabled(device):
            return cls(device)
        return cls(device, torch.get_autocast_dtype(device))

    def enabled(self) -> torch.autocast | nullcontext[None]:
        return nullcontext() if self.dtype is None else torch.autocast(self.device, dtype=self.dtype)

    def disabled(self) -> torch.autocast | nullcontext[None]:
        return nullcontext() if self.dtype is None else torch.autocast(self.device, enabled=False)


class GuardedMap:
    """``T`` with checks, to be used by solvers in its place.

    - A value must have the shape, dtype and device of the argument. Without a tape it is detached, because T may
      enable gradients itself.
    - A T that changes its argument gets copies of it.
    - A T that returns the same memory again, as a compiled or captured map does, has its values copied. Solvers keep
      points, so they would otherwise compare a point with itself and take it for the equilibrium.

    The first applications show both, and no application is made for that alone. Nothing waits for a GPU.

    Attributes:
        T: the map.
        copy_first: whether to copy the first argument on a tape as well, for a tape that cannot be started again.
        repeated: applications made again because T had changed its argument.
        points_on_tape: points without a tape for which T itself required a gradient (``requires_grad_``).
    """

    def __init__(self, T: Map, autocast: AutocastState) -> None:
        self.T, self.autocast = T, autocast
        self.copy_first = False
        self.repeated = 0
        self.points_on_tape: list[Tensor] = []
        self._applications = 0
        # Tensors under compilation or inside a transform have no memory to compare.
        self._unchecked = torch.compiler.is_compiling() or in_transform()
        self._changes = self._reuses = False
        self._returned: dict[int, tuple[StorageWeakRef, int]] = {}
        self._last_value: Tensor | None = None
        copy_protocols(self, T, partial(_selected, T, autocast))

    def __getattr__(self, name: str) -> object:
        """Forward everything else to T."""
        if name.startswith("__") or "T" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.T, name)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle without the observations, which hold in one process only."""
        return GuardedMap, (self.T, self.autocast)

    def __call__(self, x: Tensor) -> Tensor:
        if self._unchecked:
            y = self._apply(x)
            return y if torch.is_grad_enabled() else y.detach()
        return self._taped(x) if torch.is_grad_enabled() else self._untaped(x)

    def release(self) -> None:
        """Drop the tensors kept for comparison."""
        self._last_value = None
        self.points_on_tape = []

    def _untaped(self, x: Tensor) -> Tensor:
        first = not self._applications
        copied = first or self._changes
        # Otherwise an alias: T may require a gradient of it.
        argument = x.clone() if copied else x.detach()
        before = version(argument)
        y = self._apply(argument).detach()
        if version(argument) != before or (first and _hidden_change(argument, x, y)):
            if not copied:
                raise ValueError(CHANGES)
            self._changes = True
        if not copied and _memory(y) == _memory(x) != 0:
            return y.clone()
        return self._own(y)

    def _taped(self, x: Tensor) -> Tensor:
        # A copy would be one more node on the tape, so x is copied only where a change could not be undone: on a tape
        # that leads further back. Elsewhere a changed x is restored from `saved`, and T is applied once more.
        first = not self._applications and not self._changes
        copied = self._changes or (first and (self.copy_first or (x.requires_grad and not x.is_leaf)))
        argument = x.clone() if copied else x if x.requires_grad else x.detach()
        saved = x.detach().clone() if first and not copied else None
        before, constant = version(argument), not argument.requires_grad
        try:
            y = self._apply(argument)
        except RuntimeError as error:
            if copied or _LEAF not in str(error):
                raise
            return self._again(x)
        if version(argument) != before or (
            first and _hidden_change(argument, x if saved is None else saved, y)
        ):
            if saved is not None:
                with torch.no_grad():
                    x.detach().copy_(saved)
                return self._again(x)
            if not copied:
                raise ValueError(CHANGES)
            self._changes = True
        if constant and argument.requires_grad:
            self.points_on_tape.append(argument)
        if not copied and _memory(y) == _memory(x) != 0:
            return y.clone()
        return self._own(y)

    def _again(self, x: Tensor) -> Tensor:
        self._changes = True
        self.repeated += 1
        return self._taped(x)

    def _apply(self, x: Tensor) -> Tensor:
        if self.autocast.dtype is None:
            y = self.T(x)
        else:
            with self.autocast.enabled():
                y = self.T(x)
            if x.dtype == torch.float32 and getattr(y, "dtype", None) == self.autocast.dtype:
                y = y.to(
                    x.dtype
                )  # the purpose of autocast: layers in half precision, the state in its own dtype
        _check_value(y, x)
        return y

    def _own(self, y: Tensor) -> Tensor:
        """Return y, or a copy if T may write to its memory again."""
        self._applications += 1
        memory = _memory(y)
        if not memory:
            return y
        earlier = self._returned.get(memory)
        if earlier is not None and not earlier[0].expired():
            written = version(y) != earlier[1] or y.is_inference()
            if written and (y.requires_grad or (self._applications > PROBED and not self._reuses)):
                raise ValueError(REUSES)
            self._reuses = True
        probing = self._applications <= PROBED
        if probing or self._reuses:
            self._returned[memory] = (StorageWeakRef(y.untyped_storage()), version(y))
        if y.requires_grad:
            # Not copied while probing: the copy would be on the tape.
            return y.clone() if self._reuses else y
        # Hold y until the next application. Otherwise the allocator may give its memory to the next value, which
        # would look like reuse by T.
        self._last_value = y if probing else None
        return y.clone() if probing or self._reuses else y


def _selected(T: Map, autocast: AutocastState, index: Tensor) -> Map:
    return GuardedMap(T.select(index), autocast)  # pyright: ignore[reportFunctionMemberAccess]


def _check_value(y: object, x: Tensor) -> None:
    """Raise ``TypeError`` or ``ValueError`` if ``y = T(x)`` cannot be the next x."""
    if not isinstance(y, Tensor):
        raise TypeError(f"T must return a Tensor like its argument, and returned {type_name(y)}")
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
    """Return how often x was changed in place; 0 if torch does not count it."""
    return 0 if x.is_inference() else x._version


def _memory(x: Tensor) -> int:
    """Return the address of the storage; 0 if there is none."""
    return x.untyped_storage().data_ptr() if x.numel() and not x.is_meta else 0


def _hidden_change(argument: Tensor, before: Tensor, y: Tensor) -> bool:
    """Whether T may have changed its argument without incrementing its version, as ``.data`` and NumPy do."""
    if argument.is_cpu:
        return not torch.equal(argument, before)
    # Comparing values would wait for the GPU.
    return _memory(y) == _memory(argument) != 0
