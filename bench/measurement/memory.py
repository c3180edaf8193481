"""Memory of a training step: bytes on the tape, counted exactly, and the peak on the device."""

from __future__ import annotations

import gc
import re
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from solvers import Solution


@dataclass(slots=True)
class ByteCounter:
    """A count that is complete when its context ends."""

    count: int = 0


@dataclass(slots=True)
class Peak(ByteCounter):
    """The most bytes alive at once.

    Attributes:
        requested: the same of what tensors asked the allocator of CUDA for, before it rounds to its blocks; ``None`` on
            a CPU, whose ``count`` is of that kind already.
    """

    requested: int | None = None


@dataclass(slots=True)
class TapeBytes(ByteCounter):
    """A count of what is kept for the way back."""

    def forward(self, solve: Callable[[], Solution], device: torch.device) -> Solution:
        """A forward pass on ``device``, and a look at what is alive after it that was not there before.

        That is everything which a solver keeps for the way back, in saved tensors or in objects of its own. What it
        returns does not count, for that is there without a tape too.
        """
        cuda = device.type == "cuda"
        before = torch.cuda.memory_allocated(device) if cuda else 0
        with nullcontext() if cuda else _LiveStorages() as live:
            solution = solve()
        gc.collect()  # what only a cycle of references keeps is no tape
        made = solution.x.untyped_storage()
        total = torch.cuda.memory_allocated(device) - before if live is None else live.total
        alive = total - made.nbytes()
        self.count = max(self.count, alive)
        return solution


@contextmanager
def saved_bytes(known: Iterable[Tensor]) -> Generator[TapeBytes]:
    """The most bytes that are kept for the way back at once, each storage counted once.

    What autograd saves is seen by itself, on the way back too; ``TapeBytes.forward`` sees what else is kept between the
    passes.

    Args:
        known: tensors that are there anyway (parameters, spectra, measurements); their storages do
            not count.
    """
    found = TapeBytes()
    apart = {tensor.untyped_storage().data_ptr() for tensor in known}
    kept: Counter[int] = Counter()
    total = 0

    def pack(tensor: Tensor) -> _Kept:
        nonlocal total
        storage = tensor.untyped_storage()
        address, size = storage.data_ptr(), storage.nbytes()
        held = _Kept(tensor.detach())
        if address not in apart:
            total += 0 if kept[address] else size
            kept[address] += 1
            found.count = max(found.count, total)
            weakref.finalize(held, drop, address, size)
        return held

    def drop(address: int, size: int) -> None:
        nonlocal total
        kept[address] -= 1
        total -= 0 if kept[address] else size

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held.tensor):
        yield found


class _Kept:
    """A saved tensor whose end can be noticed; without its own tape, which would hold it for ever."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@contextmanager
def peak_bytes(device: torch.device) -> Generator[Peak]:
    """The most bytes alive at once on ``device``, beyond those alive at the start.

    On CUDA the allocator's own peaks, in its blocks and as requested, workspaces of libraries included; on a CPU the
    storages that operations made, followed until they die (a resident-set size is useless at these sizes).
    """
    found = Peak()
    if device.type == "cuda":
        gc.collect()  # what only a cycle of references keeps would leave in between, and lower the peak
        torch.cuda.synchronize(device)
        _largest[_index(device)] = largest_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_stats(device)
        yield found
        torch.cuda.synchronize(device)
        after = torch.cuda.memory_stats(device)
        found.count, found.requested = (
            after[f"{kind}_bytes.all.peak"] - before[f"{kind}_bytes.all.current"]
            for kind in ("allocated", "requested")
        )
    else:
        with _LiveStorages() as live:
            yield found
        found.count = live.peak


_largest: dict[int, int] = {}
"""What ``largest_allocated`` had seen before ``peak_bytes`` reset the peak, by the index of the CUDA device."""


def largest_allocated(device: torch.device) -> int:
    """The most bytes allocated at once on a CUDA device since ``forget_largest``, whatever ``peak_bytes`` has reset."""
    return max(_largest.get(_index(device), 0), torch.cuda.max_memory_allocated(device))


def free_memory(device: torch.device) -> None:
    """Collect garbage, and let go of what a GPU's allocator holds unused."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def forget_largest(device: torch.device) -> None:
    """Begin to count anew, for the next of several cells in one process."""
    _largest.pop(_index(device), None)
    torch.cuda.reset_peak_memory_stats(device)


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index


NO_MEMORY = re.compile(
    r"allocate memory|out of memory|\b(CUFFT|CUBLAS|CUDNN|CUSOLVER)_(STATUS_)?ALLOC_FAILED"
)
"""Of a plain ``RuntimeError``: torch's on a CPU, and those of CUDA and its libraries."""


def out_of_memory(error: Exception) -> bool:
    """Whether it was for want of memory."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or bool(NO_MEMORY.search(str(error)))


class _LiveStorages(TorchDispatchMode):
    """Follows every storage that an operation returns, from its birth to its death."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._alive: dict[int, int] = {}
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = {
            leaf.untyped_storage().data_ptr()
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, Tensor) and leaf.layout is torch.strided
        }
        out = func(*args, **kwargs)
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.layout is torch.strided:
                self._follow(leaf.untyped_storage(), given)
        return out

    def _follow(self, storage: torch.UntypedStorage, given: set[int]) -> None:
        address, size = storage.data_ptr(), storage.nbytes()
        if not size or address in given or address in self._alive:
            return
        self._alive[address] = size
        self.total += size
        self.peak = max(self.peak, self.total)
        weakref.finalize(storage, self._forget, address)

    def _forget(self, address: int) -> None:
        self.total -= self._alive.pop(address, 0)
