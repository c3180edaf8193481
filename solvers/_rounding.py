"""What an application rounds off, followed through its operations: an allowance, where T states no bound of its own.

Each operation rounds relative to the largest of what it is given and what it gives; what was rounded before is carried on,
and grows where an operation makes tensors larger. Cancellation is seen in this way, and scaling up after it. Norms are
those of whole tensors, so that it is no proof: a ``rounding`` stated by T's regularity is.
"""

# Dispatch modes carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ._batch import norm


class Following(TorchDispatchMode):
    """Follows the rounding of all that is computed inside; ``error`` tells it afterwards."""

    def __init__(self) -> None:
        super().__init__()
        # By storage, which views and changes in place share; kept, so that none is taken for another.
        self._errors: dict[int, tuple[torch.UntypedStorage, float]] = {}

    def error(self, x: Tensor) -> float:
        """What x may be off by; 0 for what was not computed here."""
        return self._errors.get(_key(x), (None, 0.0))[1]

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """One operation."""
        given = [t for t in _tensors((args, kwargs)) if _counts(t)]
        before = [(norm(t), self.error(t)) for t in given]
        storages = set(map(_key, given))
        made = func(*args, **(kwargs or {}))
        for out in _tensors(made):
            if not _counts(out):
                continue
            size = norm(out)
            carried = sum(e * max(1.0, size / n if n else 1.0) for n, e in before)
            fresh = torch.finfo(out.dtype).eps * max([size, *(n for n, _ in before)])
            # A view rounds nothing; of a change in place this is one too, and counted.
            same = _key(out) in storages and not _writes(func)
            found = max((e for _, e in before), default=0.0) if same else carried + fresh
            self._errors[_key(out)] = (out.untyped_storage(), max(found, self.error(out)))
        return made


def follow(T: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """What ``T(x)`` rounds off, in the norm: one application. The random state stays as it was."""
    devices = [x.device] if x.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad(), Following() as following:
        y = T(x.detach())
    return following.error(y)


def _key(x: Tensor) -> int:
    return x.untyped_storage()._cdata


def _counts(x: Tensor) -> bool:
    return (x.is_floating_point() or x.is_complex()) and x.layout == torch.strided and x.numel() > 0


def _writes(func: Any) -> bool:
    schema = getattr(func, "_schema", None)
    return bool(schema is not None and schema.is_mutable)


def _tensors(tree: Any) -> Iterator[Tensor]:
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _tensors(value)
    elif isinstance(tree, tuple | list):
        for value in tree:
            yield from _tensors(value)
