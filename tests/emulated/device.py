"""Tensors of the emulated device: values on the CPU behind a wrapper that says ``cuda:0``.

To C++ the wrapper is a tensor of the CPU, since autograd would ask a CUDA one for a stream, and there is none. What
Python asks for, and every operation of ATen, is answered here. Not emulated: autocast (the device computes in the dtype
of its tensors), ``torch.func``, views of conjugates (they are copies), and ``zeros_like(x, device="cpu")``.
"""

# It answers with fewer arguments than torch takes.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from tests.emulated.counts import now, place
from tests.emulated.rules import admit, kind

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")


class Memory:
    """Bytes of the storages that are alive on the device.

    Attributes:
        bytes, peak: now, and at most since ``restart``.
    """

    def __init__(self) -> None:
        self.bytes = self.peak = 0
        self._alive: dict[int, int] = {}

    def follow(self, storage: torch.UntypedStorage) -> None:
        """Count a storage until it dies."""
        address, size = storage.data_ptr(), storage.nbytes()
        if size and address not in self._alive:
            self._alive[address] = size
            self.bytes += size
            self.peak = max(self.peak, self.bytes)
            weakref.finalize(storage, self._forget, address)

    def restart(self) -> None:
        """The peak is what is there now."""
        self.peak = self.bytes

    def _forget(self, address: int) -> None:
        self.bytes -= self._alive.pop(address, 0)


MEMORY = Memory()


class CudaTensor(torch.Tensor):
    """A tensor of the emulated device.

    Attributes:
        held: its values, on the CPU; views share memory as theirs do.
    """

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore

    @staticmethod
    def __new__(cls, real: Tensor) -> CudaTensor:
        if real.is_conj() or real.is_neg() or real.requires_grad:
            real = real.detach().resolve_conj().resolve_neg()
        made = torch.Tensor._make_wrapper_subclass(  # pyright: ignore
            cls,
            real.size(),
            strides=real.stride(),
            storage_offset=real.storage_offset(),
            dtype=real.dtype,
            layout=real.layout,
            device=CPU,
        )
        made.held = real
        MEMORY.follow(real.untyped_storage())
        return made

    @classmethod
    def __torch_dispatch__(cls, func: OpOverload, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatched(func, args, kwargs or {})

    @property
    def device(self) -> torch.device:  # pyright: ignore
        return CUDA

    @property
    def is_cuda(self) -> bool:  # pyright: ignore
        return True

    @property
    def is_cpu(self) -> bool:  # pyright: ignore
        return False

    def get_device(self) -> int:
        return 0

    def untyped_storage(self) -> torch.UntypedStorage:
        return self.held.untyped_storage()

    def data_ptr(self) -> int:
        return self.held.data_ptr()

    def cpu(self, *_: Any, **__: Any) -> Tensor:
        return moved(self, CPU)

    def tolist(self) -> Any:
        now().wait("tolist")
        return self.held.tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"can't convert cuda:0 device type tensor to numpy (at {place()})")

    __array__ = numpy

    def new_tensor(self, data: Any, *, dtype: torch.dtype | None = None, device: Any = CUDA) -> Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=device)

    def new_full(
        self, size: Any, fill: Any, *, dtype: torch.dtype | None = None, device: Any = CUDA
    ) -> Tensor:
        return torch.full(size, fill, dtype=dtype or self.dtype, device=device)

    def new_empty(self, *size: Any, dtype: torch.dtype | None = None, device: Any = CUDA) -> Tensor:
        return torch.empty(*size, dtype=dtype or self.dtype, device=device)

    def new_zeros(self, *size: Any, dtype: torch.dtype | None = None, device: Any = CUDA) -> Tensor:
        return torch.zeros(*size, dtype=dtype or self.dtype, device=device)

    def new_ones(self, *size: Any, dtype: torch.dtype | None = None, device: Any = CUDA) -> Tensor:
        return torch.ones(*size, dtype=dtype or self.dtype, device=device)

    def __deepcopy__(self, memo: dict[int, Any]) -> CudaTensor:
        made = CudaTensor(self.held.clone()).requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            made = torch.nn.Parameter(made, self.requires_grad)
        memo[id(self)] = made
        return made  # pyright: ignore

    def __reduce_ex__(self, proto: Any) -> Any:
        """As one of the CPU, with a wait: loading moves it back (see ``cuda``)."""
        now().wait("pickle")
        return self.held.__reduce_ex__(proto)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"{self.held!r} on cuda:0"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.ndim == 0 else repr(self)


class Factories(TorchDispatchMode):
    """Sends operations without tensors of the device, such as ``zeros(…, device="cuda")``, the way of all others."""

    def __torch_dispatch__(self, func: OpOverload, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatched(func, args, kwargs or {})


def dispatched(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operation of ATen: on the device where a tensor is, or where it is asked for; on the CPU elsewhere."""
    ours: list[Tensor] = []
    foreign: list[Tensor] = []
    plain, named = _plain(args, ours, foreign), {k: _plain(v, ours, foreign) for k, v in kwargs.items()}
    asked = kwargs.get("device")
    there = asked is not None and asked.type == "cuda"
    if not ours and not there:
        return func(*args, **kwargs)
    about = kind(func)
    if about.name == "_to_copy" and foreign:
        now().upload("to")
        foreign = []
    admit(about, args, kwargs, ours, foreign)
    if there:
        named["device"] = CPU
    found = func(*plain, **named)
    if about.writes:
        given = [args[i] if i < len(args) else kwargs[name] for i, name in about.writes]
        return given[0] if len(given) == 1 else tuple(given)
    return _wrapped(found)


def _plain(value: Any, ours: list[Tensor], foreign: list[Tensor]) -> Any:
    """An argument with the values of tensors in their place; the tensors are told apart on the way."""
    if isinstance(value, CudaTensor):
        ours.append(value)
        return value.held
    if isinstance(value, Tensor):
        foreign.append(value)
    elif isinstance(value, tuple | list):
        return type(value)(_plain(part, ours, foreign) for part in value)
    return value


def _wrapped(found: Any) -> Any:
    if isinstance(found, Tensor):
        return CudaTensor(found)
    return type(found)(_wrapped(part) for part in found) if isinstance(found, tuple | list) else found


def moved(x: Tensor, device: torch.device) -> Tensor:
    """``x`` on ``device``, itself if it is there; differentiable, as a copy is."""
    if isinstance(x, CudaTensor) == (device.type == "cuda"):
        return x
    return _Down.apply(x) if isinstance(x, CudaTensor) else _Up.apply(x)  # pyright: ignore


def _uploaded(x: Tensor) -> CudaTensor:
    now().upload("to")
    now().launch()
    return CudaTensor(x.detach().clone())


def _fetched(x: CudaTensor) -> Tensor:
    now().wait("copy to the CPU")
    now().launch()
    return x.held.clone()


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _uploaded(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        return _fetched(grads[0]) if isinstance(grads[0], CudaTensor) else grads[0]


class _Down(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: CudaTensor) -> Tensor:
        return _fetched(x)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Tensor:
        return _uploaded(grads[0])


def moving(plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``Tensor.to`` that knows the device; ``plain`` is torch's own, for dtypes and layouts."""

    def to(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        other = next((a for a in (*args, kwargs.get("other")) if isinstance(a, Tensor)), None)
        copy = kwargs.pop("copy", False)
        if other is not None:
            device, dtype, layout = other.device, other.dtype, kwargs.get("memory_format")
        else:
            device, dtype, _, layout = torch._C._nn._parse_to(*args, **kwargs)  # pyright: ignore
        if device is not None and device.type not in ("cpu", "cuda"):
            return plain(x, *args, **kwargs)
        made = x if dtype in (None, x.dtype) else plain(x, dtype)
        made = made if device is None else moved(made, device)
        made = made if layout in (None, torch.preserve_format) else plain(made, memory_format=layout)
        return made.clone() if copy and made is x else made

    return to
