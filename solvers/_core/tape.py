"""What stands on a tape."""

# torch.linalg carries no types, nor do the nodes of a tape.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction


@dataclass(frozen=True, slots=True)
class GraphEnds:
    """Where a tape ends.

    Attributes:
        leaves: the tensors that its gradients end in, in the order in which they are met.
        opaque: whether there are functions of Python on it, which may see tensors that are not their arguments.
    """

    leaves: tuple[Tensor, ...]
    opaque: bool

    @property
    def learns(self) -> bool:
        """Whether there may be anything to learn."""
        return bool(self.leaves) or self.opaque


def ends(*values: Tensor, start: Tensor | None = None) -> GraphEnds:
    """The ends of the tapes of ``values``, no further than back to ``start``, which is none of them."""
    found: dict[int, Tensor] = {}
    seen: set[object] = set() if start is None else {start.grad_fn}
    opaque = False
    waiting: list[object] = [value.grad_fn for value in values if value.grad_fn is not None]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        opaque |= isinstance(node, BackwardCFunction)
        variable = getattr(node, "variable", None)
        if variable is not None and variable is not start:
            found[id(variable)] = variable
        waiting += [after for after, _ in getattr(node, "next_functions", ()) if after is not None]
    # A value may be a leaf itself.
    for value in values:
        if value.grad_fn is None and value.requires_grad and value is not start:
            found[id(value)] = value
    return GraphEnds(tuple(found.values()), opaque)


def current_pass() -> int:
    """The number of the backward pass that this is called in; −1 outside of all."""
    return torch._C._current_graph_task_id()  # pyright: ignore[reportPrivateUsage]


class Versions:
    """Leaves as they were, to be compared with what they are."""

    def __init__(self, leaves: Iterable[Tensor]) -> None:
        self._seen = [(leaf, leaf._version) for leaf in leaves if not leaf.is_inference()]

    @property
    def stepped(self) -> Tensor | None:
        """The first that was changed in place since; ``None`` where none was."""
        return next((leaf for leaf, version in self._seen if leaf._version != version), None)

    def check(self) -> None:
        """As autograd does it for the tensors that it saved, where T is applied to them again.

        Raises:
            RuntimeError: one of them was changed in place.
        """
        if (leaf := self.stepped) is not None:
            raise RuntimeError(STEPPED.format(shape=tuple(leaf.shape)))


STEPPED = (
    "a parameter of T, of shape {shape}, was changed in place between the solve and its backward pass, which applies T "
    "again: call backward() before the optimiser steps, or solve again"
)
OTHER = (
    "T gives another value than in the solve when it is applied again on the way back: what it is made of was changed "
    "between the two, or it draws random numbers of its own; call backward() first, or solve again"
)


def same(value: Tensor, before: Tensor, allowed: float | None = None) -> None:
    """Refuse a value that is not what it was.

    Args:
        value, before: without a tape.
        allowed: by what it may differ, relatively; by rounding where it is ``None``.

    Raises:
        RuntimeError: it is another one.
    """
    allowed = torch.finfo(before.dtype).eps ** 0.5 if allowed is None else allowed
    # Of a nan nothing is known: `>` is false.
    if bool(torch.linalg.vector_norm(value - before) > allowed * torch.linalg.vector_norm(before)):
        raise RuntimeError(OTHER)
