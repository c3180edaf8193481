"""Vector-Jacobian products that run none of the user's hooks on parameters.

A hook belongs to the gradient, and must run once; a certificate makes further products. ``torch.autograd.grad`` runs
the hooks of the tensors it is asked for, and of those it passes. Between y and x that cannot be avoided: such hooks run
in every product of an adjoint solve as well. The branches from y to the parameters are walked here node by node, if a
hook may sit on them.
"""

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

from .._core.tape import backward_pass_id

Node: TypeAlias = Any
"""A node of autograd's graph; nodes of Python functions have other methods than torch's own."""
Gradients: TypeAlias = dict[int, Tensor]
"""Gradients by the ``id`` of their leaf."""


@dataclass(frozen=True, slots=True)
class TapedMap:
    """One evaluation on a tape: the leaf x, the value y, and a sequence number below those of its nodes."""

    x: Tensor
    y: Tensor
    first_node: int


def taped(function: Callable[[Tensor], Tensor], x: Tensor) -> TapedMap:
    """Evaluate ``function`` at x on a tape of its own."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        first_node = _sequence_number()
        y = function(leaf)
        return TapedMap(leaf, y.view_as(y) if y.is_leaf and y.requires_grad else y, first_node)


def pullback(tape: TapedMap, leaves: Sequence[Tensor], u: Tensor) -> list[Tensor]:
    """Return the gradients of ``⟨u, y⟩`` in x and in each of ``leaves``; the tape is retained."""
    if not leaves or not _may_run_hooks(tape):
        return _engine(tape.y, [tape.x, *leaves], u)
    try:
        with torch.no_grad():
            return _walk(tape, leaves, u)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        # Some node cannot be called by itself. The engine gives the same numbers, though hooks run.
        return _engine(tape.y, [tape.x, *leaves], u)


def _engine(y: Tensor, inputs: Sequence[Tensor], u: Tensor) -> list[Tensor]:
    return list(
        torch.autograd.grad(y, inputs, u, retain_graph=True, allow_unused=True, materialize_grads=True)
    )


def _sequence_number() -> int:
    node: Node = torch.zeros((), requires_grad=True).view(()).grad_fn
    return node._sequence_nr()


def _edges(node: Node) -> list[tuple[Node, int]]:
    return list(node.next_functions)


def _topological_order(root: Node) -> list[Node]:
    """Return all nodes from ``root`` on, each after those that lead to it."""
    order: list[Node] = []
    visited: set[Node] = set()
    waiting: list[tuple[Node, bool]] = [(root, False)]
    while waiting:
        node, done = waiting.pop()
        if done:
            order.append(node)
        elif node not in visited:
            visited.add(node)
            waiting.append((node, True))
            waiting += [(parent, False) for parent, _ in _edges(node) if parent is not None]
    return order[::-1]


def _leading_to(order: Sequence[Node], leaves: set[int]) -> set[Node]:
    """Return the nodes on a path to a leaf whose ``id`` is in ``leaves``."""
    nodes: set[Node] = set()
    for node in reversed(order):
        if id(getattr(node, "variable", None)) in leaves or any(
            parent in nodes for parent, _ in _edges(node)
        ):
            nodes.add(node)
    return nodes


def _may_run_hooks(tape: TapedMap) -> bool:
    """Whether a hook may sit off the paths from y to x: on a leaf, or on a tensor older than this evaluation."""
    order = _topological_order(tape.y.grad_fn)
    to_x = _leading_to(order, {id(tape.x)})
    for node in order:
        leaf = getattr(node, "variable", None)
        if leaf is None:
            if node not in to_x and node._sequence_nr() < tape.first_node:
                return True
        elif leaf._backward_hooks:
            return True
    return False


def _walk(tape: TapedMap, leaves: Sequence[Tensor], u: Tensor) -> list[Tensor]:
    """Let the engine run from y to x, and walk the branches to the leaves by hand."""
    order = _topological_order(tape.y.grad_fn)
    to_x = _leading_to(order, {id(tape.x)})
    branches = _leading_to(order, set(map(id, leaves))) - to_x
    forks = [n for n in order if n in to_x and any(parent in branches for parent, _ in _edges(n))]
    edges = [GradientEdge(fork, i) for fork in forks for i in range(len(fork._input_metadata))]
    a, *cotangents = torch.autograd.grad(tape.y, [tape.x, *edges], u, retain_graph=True, allow_unused=True)  # pyright: ignore[reportCallIssue, reportArgumentType]
    at_forks: dict[Node, list[Tensor | None]] = {}
    for edge, cotangent in zip(edges, cotangents, strict=True):
        at_forks.setdefault(edge.node, []).append(cotangent)
    buffers: dict[Node, dict[int, Tensor]] = defaultdict(dict)
    if tape.y.grad_fn in branches:
        buffers[tape.y.grad_fn][tape.y.output_nr] = u
    gradients = _outside_backward(partial(_walk_branches, order, at_forks, branches, buffers), tape.x)
    B = [gradients[id(leaf)] if id(leaf) in gradients else torch.zeros_like(leaf) for leaf in leaves]
    return [torch.zeros_like(tape.x) if a is None else a, *B]


def _outside_backward(work: Callable[[], Gradients], x: Tensor) -> Gradients:
    """Run ``work()`` outside of any backward pass.

    Inside one, a node that is called computes only the gradients that this pass needs. A backward pass belongs to its
    thread, so another thread is outside of it; streams and dispatch modes, which belong to a thread too, are copied.
    """
    if backward_pass_id() == -1:
        return work()
    stream = torch.cuda.current_stream(x.device) if x.is_cuda else None
    modes = _get_current_dispatch_mode_stack()

    def in_thread() -> Gradients:
        with ExitStack() as stack:
            for context in (torch.no_grad(), torch.cuda.stream(stream), *modes):
                stack.enter_context(context)
            return work()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(in_thread).result()


def _walk_branches(
    order: Sequence[Node],
    at_forks: Mapping[Node, list[Tensor | None]],
    branches: set[Node],
    buffers: dict[Node, dict[int, Tensor]],
) -> Gradients:
    """Return the gradients of the leaves at the ends of the branches, from the cotangents at the forks."""
    gradients: Gradients = {}
    for node in order:
        if node in at_forks:
            cotangents = at_forks[node]
        elif node in branches and node in buffers:
            buffer = buffers.pop(node)
            cotangents = [buffer.get(i) for i in range(len(node._input_metadata))]
        else:
            continue
        if all(cotangent is None for cotangent in cotangents):
            continue
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            g = cotangents[0]
            gradients[id(leaf)] = gradients[id(leaf)] + g if id(leaf) in gradients else g  # pyright: ignore
            continue
        for (parent, nr), g in zip(_edges(node), _call(node, cotangents), strict=True):
            if parent in branches:
                if g is None:
                    raise NotImplementedError(f"{node.name()} gives nothing when it is called by itself")
                sums, summed = buffers[parent], _summed(g, parent._input_metadata[nr])
                sums[nr] = sums[nr] + summed if nr in sums else summed
    return gradients


def _call(node: Node, cotangents: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Return the gradients of a node's inputs, one for each edge."""
    if callable(node):
        result: Any = node(*cotangents)
        return list(result) if isinstance(result, tuple) else [result]  # pyright: ignore[reportReturnType]
    # A Python function expects zeros for missing cotangents, and also returns gradients of arguments without an edge.
    full = [
        _zeros(meta) if g is None else g for g, meta in zip(cotangents, node._input_metadata, strict=True)
    ]
    result = node.apply(*full)
    every: list[Tensor | None] = list(result) if isinstance(result, tuple) else [result]
    needed = iter([g for g, used in zip(every, node.needs_input_grad, strict=True) if used])
    return [None if parent is None else next(needed) for parent, _ in _edges(node)]


def _zeros(meta: Any) -> Tensor:
    return torch.zeros(tuple(meta.shape), dtype=meta.dtype, device=meta.device)


def _summed(g: Tensor, meta: Any) -> Tensor:
    """Sum over broadcast dimensions, as autograd's engine does."""
    shape = tuple(meta.shape)
    return (g if tuple(g.shape) == shape else g.sum_to_size(shape)).to(meta.dtype)
