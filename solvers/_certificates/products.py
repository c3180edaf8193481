"""Products that no hook of the user's sees: hooks are for the gradient, and these are made on the way to it.

``torch.autograd.grad`` runs the hooks of the tensors that it is asked for, and of those that it passes. What lies
between y and x runs in every product of an adjoint solve; what lies beside, the way from y to the parameters, is
walked here node by node where a hook may sit on it.
"""

# The types of torch.autograd are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge
from torch.utils._python_dispatch import (
    _get_current_dispatch_mode_stack,  # pyright: ignore[reportPrivateUsage]
)

from .._core.tape import current_pass

Node: TypeAlias = Any
"""A node of autograd's graph; of a Python function it has other methods than of torch's own."""
Found: TypeAlias = dict[int, Tensor]
"""Gradients, by the identity of their leaf."""


@dataclass(frozen=True, slots=True)
class TapedMap:
    """One evaluation on a tape.

    Attributes:
        x: where, a leaf.
        y: the value there.
        since: the clock of the graph before; younger nodes are of this evaluation.
    """

    x: Tensor
    y: Tensor
    since: int


def taped(of: Callable[[Tensor], Tensor], x: Tensor) -> TapedMap:
    """``of(x)``, on a tape of its own from x on."""
    at = x.detach().requires_grad_()
    with torch.enable_grad():
        since = _clock()
        y = of(at)
        return TapedMap(at, y.view_as(y) if y.is_leaf and y.requires_grad else y, since)


def pull(tape: TapedMap, wanted: Sequence[Tensor], u: Tensor) -> list[Tensor]:
    """The gradients of ``⟨u, y⟩`` in x and in each leaf of ``wanted``; the tape stays."""
    if not wanted or not _watched(tape):
        return _engine(tape.y, [tape.x, *wanted], u)
    try:
        with torch.no_grad():
            a, *found = _walk(tape, wanted, u)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        # A node that cannot be called by itself. The numbers are the same, though hooks run.
        return _engine(tape.y, [tape.x, *wanted], u)
    return [a, *found]


def _engine(y: Tensor, wanted: Sequence[Tensor | GradientEdge], u: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(y, wanted, u, retain_graph=True, allow_unused=True, materialize_grads=True)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return list(found)


def _clock() -> int:
    """Nodes that are made from now on, in this thread, have at least this number."""
    node: Node = torch.zeros((), requires_grad=True).view(()).grad_fn
    return node._sequence_nr()


def _after(node: Node) -> list[tuple[Node, int]]:
    return list(node.next_functions)


def _graph(root: Node) -> list[Node]:
    """All nodes from ``root`` on, each after those that it is reached from."""
    order: list[Node] = []
    seen: set[Node] = set()
    waiting: list[tuple[Node, bool]] = [(root, False)]
    while waiting:
        node, done = waiting.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting += [(after, False) for after, _ in _after(node) if after is not None]
    return order[::-1]


def _leading(order: Sequence[Node], ends: set[int]) -> set[Node]:
    """The nodes that lead to a leaf whose identity is in ``ends``."""
    found: set[Node] = set()
    for node in reversed(order):
        if id(getattr(node, "variable", None)) in ends or any(after in found for after, _ in _after(node)):
            found.add(node)
    return found


def _watched(tape: TapedMap) -> bool:
    """Whether a hook may sit beside the way from y to x: on a leaf, or on a tensor older than this evaluation."""
    order = _graph(tape.y.grad_fn)
    inside = _leading(order, {id(tape.x)})
    for node in order:
        leaf = getattr(node, "variable", None)
        if leaf is None:
            if node not in inside and node._sequence_nr() < tape.since:
                return True
        elif leaf._backward_hooks:
            return True
    return False


def _walk(tape: TapedMap, wanted: Sequence[Tensor], u: Tensor) -> list[Tensor]:
    order = _graph(tape.y.grad_fn)
    inside = _leading(order, {id(tape.x)})
    needed = _leading(order, set(map(id, wanted)))
    beside = needed - inside
    doors = [n for n in order if n in inside and any(after in beside for after, _ in _after(n))]
    edges = [GradientEdge(door, i) for door in doors for i in range(len(door._input_metadata))]
    a, *reached = torch.autograd.grad(tape.y, [tape.x, *edges], u, retain_graph=True, allow_unused=True)  # pyright: ignore[reportCallIssue, reportArgumentType]
    came: dict[Node, list[Tensor | None]] = {}
    for edge, grad in zip(edges, reached, strict=True):
        came.setdefault(edge.node, []).append(grad)
    buffers: dict[Node, dict[int, Tensor]] = defaultdict(dict)
    if tape.y.grad_fn in beside:
        buffers[tape.y.grad_fn][tape.y.output_nr] = u
    found = _apart(partial(_called, order, came, beside, buffers), tape.x)
    zeros = [found[id(leaf)] if id(leaf) in found else torch.zeros_like(leaf) for leaf in wanted]
    return [torch.zeros_like(tape.x) if a is None else a, *zeros]


def _apart(work: Callable[[], Found], x: Tensor) -> Found:
    """``work()``, where no backward pass is going on.

    Within one, a node that is called leaves out what that pass has not asked for, and ``torch.autograd.grad`` does not
    ask for all. The pass that is going on belongs to its thread.
    """
    if current_pass() == -1:
        return work()
    stream = torch.cuda.current_stream(x.device) if x.is_cuda else None
    modes = _get_current_dispatch_mode_stack()  # of this thread alone, too

    def there() -> Found:
        with ExitStack() as stack:
            for context in (torch.no_grad(), torch.cuda.stream(stream), *modes):
                stack.enter_context(context)
            return work()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(there).result()


def _called(
    order: Sequence[Node],
    came: Mapping[Node, list[Tensor | None]],
    beside: set[Node],
    buffers: dict[Node, dict[int, Tensor]],
) -> Found:
    """The gradients of the leaves that the nodes ``beside`` lead to, from what came to the others."""
    found: Found = {}
    for node in order:
        if node in came:
            grads = came[node]
        elif node in beside and node in buffers:
            buffer = buffers.pop(node)
            grads = [buffer.get(i) for i in range(len(node._input_metadata))]
        else:
            continue
        if all(grad is None for grad in grads):
            continue
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            found[id(leaf)] = found[id(leaf)] + grads[0] if id(leaf) in found else grads[0]  # pyright: ignore
            continue
        for (after, nr), grad in zip(_after(node), _call(node, grads), strict=True):
            if after in beside:
                if grad is None:
                    raise NotImplementedError(f"{node.name()} gives nothing when it is called by itself")
                there = buffers[after]
                there[nr] = there[nr] + grad if nr in there else _as(grad, after._input_metadata[nr])
    return found


def _call(node: Node, grads: Sequence[Tensor | None]) -> list[Tensor | None]:
    """The gradients of a node's inputs, one for each edge."""
    if callable(node):
        found: Any = node(*grads)
        return list(found) if isinstance(found, tuple) else [found]  # pyright: ignore[reportReturnType]
    # A function in Python: it expects zeros for what did not come, and answers for its other arguments too.
    full = [_zeros(m) if g is None else g for g, m in zip(grads, node._input_metadata, strict=True)]
    found = node.apply(*full)
    answers: list[Tensor | None] = list(found) if isinstance(found, tuple) else [found]
    needed = iter([g for g, asked in zip(answers, node.needs_input_grad, strict=True) if asked])
    return [None if after is None else next(needed) for after, _ in _after(node)]


def _zeros(meta: Any) -> Tensor:
    return torch.zeros(tuple(meta.shape), dtype=meta.dtype, device=meta.device)


def _as(grad: Tensor, meta: Any) -> Tensor:
    """Summed over what was broadcast, as autograd's engine does."""
    shape = tuple(meta.shape)
    return (grad if tuple(grad.shape) == shape else grad.sum_to_size(shape)).to(meta.dtype)
