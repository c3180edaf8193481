"""How many vectors of the size of u an adjoint solve holds."""

from __future__ import annotations

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode


class Held(TorchDispatchMode):
    """Storages made under the mode, and the bytes of those that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = {a.untyped_storage().data_ptr() for a in args if isinstance(a, torch.Tensor)}
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                if storage.data_ptr() in given and storage.data_ptr() not in self.made:
                    continue  # a view of what was there before
                self.made[storage.data_ptr()] = (StorageWeakRef(storage), storage.nbytes())
        return out

    def nbytes(self) -> int:
        self.made = {at: entry for at, entry in self.made.items() if not entry[0].expired()}
        return sum(size for _, size in self.made.values())


def held_vectors(solve, T, v: torch.Tensor, calls: tuple[str, ...]) -> float:
    """Vectors of the size of ``v`` alive at any call of the methods ``calls`` of T, beside v and what T holds."""
    mode, most = Held(), 0

    def watch(name: str) -> None:
        method = getattr(T, name)

        def call(u):
            nonlocal most
            most = max(most, mode.nbytes())
            return method(u)

        setattr(T, name, call)

    for name in calls:
        watch(name)
    with mode:
        solve(T, v)
    return most / v.nbytes
