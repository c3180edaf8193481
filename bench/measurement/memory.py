"""Memory of a training step: bytes kept for the backward pass, counted exactly, and the peak on the device."""

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
class Peak:
    """The most bytes alive at once; complete when the context ends.

    Attributes:
        count: bytes; on CUDA in the blocks of the allocator.
        requested: bytes that tensors asked CUDA's allocator for, before it rounds to its blocks; ``None`` on a CPU,
            where ``count`` is not rounded either.
    """

    count: int = 0
    requested: int | None = None


@dataclass(slots=True)
class TapeBytes:
    """Bytes kept for the backward pass; complete when the context ends."""

    count: int = 0

    def forward(self, solve: Callable[[], Solution], device: torch.device) -> Solution:
        """Run a forward pass on ``device``, and count the bytes that are alive only after it.

        These are everything that a solver keeps for the backward pass, in saved tensors or in objects of its own. The
        solution itself does not count, since it exists without a tape too.
        """
        cuda = device.type == "cuda"
        before = torch.cuda.memory_allocated(device) if cuda else 0
        with nullcontext() if cuda else _LiveStorages() as live:
            solution = solve()
        gc.collect()  # memory kept only by cycles of references is no tape
        total = torch.cuda.memory_allocated(device) - before if live is None else live.total
        self.count = max(self.count, total - solution.x.untyped_storage().nbytes())
        return solution


@contextmanager
def saved_bytes(known: Iterable[Tensor]) -> Generator[TapeBytes]:
    """Count the most bytes kept for the backward pass at once, each storage once.

    Tensors that autograd saves are counted in both passes; ``TapeBytes.forward`` adds all else that is kept between the
    passes.

    Args:
        known: tensors that exist without a tape (parameters, spectra, measurements); their storages do not count.
    """
    tape = TapeBytes()
    known_addresses = {tensor.untyped_storage().data_ptr() for tensor in known}
    references: Counter[int] = Counter()
    total = 0

    def pack(tensor: Tensor) -> _SavedTensor:
        nonlocal total
        storage = tensor.untyped_storage()
        address, size = storage.data_ptr(), storage.nbytes()
        saved = _SavedTensor(tensor.detach())
        if address not in known_addresses:
            total += 0 if references[address] else size
            references[address] += 1
            tape.count = max(tape.count, total)
            weakref.finalize(saved, drop, address, size)
        return saved

    def drop(address: int, size: int) -> None:
        nonlocal total
        references[address] -= 1
        total -= 0 if references[address] else size

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        yield tape


class _SavedTensor:
    """A saved tensor whose end ``weakref`` can notice; detached, since its tape would hold this object for ever."""

    __slots__ = ("__weakref__", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@contextmanager
def peak_bytes(device: torch.device) -> Generator[Peak]:
    """Count the most bytes alive at once on ``device``, beyond those alive at the start.

    On CUDA these are the peaks of the allocator, workspaces of libraries included. On a CPU they are the storages that
    operations made, followed until they are freed: the resident set of a process is too coarse at these sizes.
    """
    peak = Peak()
    if device.type == "cuda":
        gc.collect()  # garbage that is freed inside the context would lower the peak
        torch.cuda.synchronize(device)
        _largest[_index(device)] = largest_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_stats(device)
        yield peak
        torch.cuda.synchronize(device)
        after = torch.cuda.memory_stats(device)
        peak.count, peak.requested = (
            after[f"{kind}_bytes.all.peak"] - before[f"{kind}_bytes.all.current"]
            for kind in ("allocated", "requested")
        )
    else:
        with _LiveStorages() as live:
            yield peak
        peak.count = live.peak


_largest: dict[int, int] = {}
"""Peak of each CUDA device, by its index, before ``peak_bytes`` last reset the allocator's."""


def largest_allocated(device: torch.device) -> int:
    """The most bytes allocated at once on a CUDA device since ``forget_largest``, despite resets by ``peak_bytes``."""
    return max(_largest.get(_index(device), 0), torch.cuda.max_memory_allocated(device))


def free_memory(device: torch.device) -> None:
    """Collect garbage, and return unused memory of CUDA's allocator to the GPU."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def forget_largest(device: torch.device) -> None:
    """Reset ``largest_allocated``, for the next cell in the same process."""
    _largest.pop(_index(device), None)
    torch.cuda.reset_peak_memory_stats(device)


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index


NO_MEMORY = re.compile(
    r"allocate memory|out of memory|\b(CUFFT|CUBLAS|CUDNN|CUSOLVER)_(STATUS_)?ALLOC_FAILED"
)
"""Messages of a plain ``RuntimeError``: torch's on a CPU, and those of CUDA and its libraries."""


def out_of_memory(error: Exception) -> bool:
    """Whether ``error`` reports a lack of memory."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or bool(NO_MEMORY.search(str(error)))


class _LiveStorages(TorchDispatchMode):
    """Counts the bytes of every storage that an operation makes, until the storage is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self.total = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        inputs = {storage.data_ptr() for storage in _storages((args, kwargs))}
        out = func(*args, **kwargs)
        for storage in _storages(out):
            address, size = storage.data_ptr(), storage.nbytes()
            # Views and writes in place return a storage of the inputs.
            if size and address not in inputs and address not in self._sizes:
                self._sizes[address] = size
                self.total += size
                self.peak = max(self.peak, self.total)
                weakref.finalize(storage, self._forget, address)
        return out

    def _forget(self, address: int) -> None:
        self.total -= self._sizes.pop(address, 0)


def _storages(tree: object) -> list[torch.UntypedStorage]:
    return [
        leaf.untyped_storage()
        for leaf in tree_leaves(tree)
        if isinstance(leaf, Tensor) and leaf.layout is torch.strided
    ]
