"""Leaves of a tape, and changes of them between a solve and its backward pass."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction

CHANGED_PARAMETER = (
    "a parameter of T, of shape {shape}, was changed in place between the solve and its backward pass, which applies T "
    "again: call backward() before the optimiser steps, or solve again"
)
CHANGED_VALUE = (
    "T gives another value than in the solve when the backward pass applies it again: something that it depends on was "
    "changed between the two, or it draws random numbers of its own; call backward() first, or solve again"
)


@dataclass(frozen=True, slots=True)
class TapeEnds:
    """The leaves of a tape, and whether it is ``opaque``: Python functions may use tensors that are no arguments."""

    leaves: tuple[Tensor, ...]
    opaque: bool

    @property
    def may_have_parameters(self) -> bool:
        """Whether a gradient may reach a parameter."""
        return bool(self.leaves) or self.opaque


def tape_ends(*values: Tensor, start: Tensor | None = None) -> TapeEnds:
    """Return the ends of the tapes of ``values``, without ``start``, at which the search stops."""
    leaves: dict[int, Tensor] = {}
    visited: set[object] = set() if start is None else {start.grad_fn}
    opaque = False
    waiting: list[object] = [value.grad_fn for value in values if value.grad_fn is not None]
    while waiting:
        node = waiting.pop()
        if node in visited:
            continue
        visited.add(node)
        opaque |= isinstance(node, BackwardCFunction)
        variable = getattr(node, "variable", None)
        if variable is not None and variable is not start:
            leaves[id(variable)] = variable
        waiting += [parent for parent, _ in getattr(node, "next_functions", ()) if parent is not None]
    # A value may be a leaf itself.
    for value in values:
        if value.grad_fn is None and value.requires_grad and value is not start:
            leaves[id(value)] = value
    return TapeEnds(tuple(leaves.values()), opaque)


def backward_pass_id() -> int:
    """Return the number of the backward pass that is running; −1 outside of all."""
    return torch._C._current_graph_task_id()  # pyright: ignore[reportPrivateUsage]


class LeafVersions:
    """Versions of some leaves at one moment, to detect later changes in place."""

    def __init__(self, leaves: Iterable[Tensor]) -> None:
        self._versions = [(leaf, leaf._version) for leaf in leaves if not leaf.is_inference()]

    @property
    def changed(self) -> Tensor | None:
        """The first leaf that was changed in place since; ``None`` if none was."""
        return next((leaf for leaf, version in self._versions if leaf._version != version), None)

    def check(self) -> None:
        """Raise ``RuntimeError`` if a leaf was changed in place, as autograd does for saved tensors."""
        if (leaf := self.changed) is not None:
            raise RuntimeError(CHANGED_PARAMETER.format(shape=tuple(leaf.shape)))


def check_same_value(value: Tensor, before: Tensor, tolerance: float | None = None) -> None:
    """Raise ``RuntimeError`` if T gives another value; ``tolerance`` is relative, by default that of rounding."""
    tolerance = torch.finfo(before.dtype).eps ** 0.5 if tolerance is None else tolerance
    # A nan is not refused: the comparison is false.
    if bool(torch.linalg.vector_norm(value - before) > tolerance * torch.linalg.vector_norm(before)):
        raise RuntimeError(CHANGED_VALUE)
