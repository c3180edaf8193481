"""The entry of every solver: what it is given is looked at once; see ``_guard`` for the map."""

# The types of transforms are partial.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .maps import Map

PROTOCOLS = ("select", "regularity")
"""Methods of a map that solvers ask for by ``isinstance``: those of ``Divisible`` and ``Regular``."""


def adopt(wrapper: object, T: Map, select: Callable[[Tensor], Map] | None = None) -> None:
    """Let a wrapper of ``T`` do what ``T`` can, and pretend to no more: solvers ask by ``isinstance``.

    The methods become attributes of the instance, which must have a ``__dict__``; ``isinstance`` of a protocol finds
    them there on every version of Python, and a class for each combination is not needed.

    Args:
        wrapper: a callable around ``T``.
        T: the map.
        select: replaces ``T.select``, so that selected maps are wrapped too. It must not hold the wrapper, which would
            make a reference cycle.
    """
    for name in PROTOCOLS:
        method = getattr(T, name, None)
        if callable(method):
            setattr(wrapper, name, select if name == "select" and select is not None else method)


def admitted(T: object, x0: object, loss: object) -> Tensor:
    """The start, without a tape, where the three can be solved with.

    Raises:
        TypeError: T is no map, x0 no tensor of numbers that can be solved for, or the loss no function.
    """
    if isinstance(T, type):
        raise TypeError(f"T is the class {T.__name__}, not a map: give an instance of it, {T.__name__}(…)")
    if not callable(T):
        raise TypeError(f"T must be a map x -> T(x), not {kind(T)}")
    if loss is not None and (isinstance(loss, type) or not callable(loss)):
        raise TypeError(f"loss must be a function x -> loss(x), not {kind(loss)}")
    if not isinstance(x0, Tensor):
        raise TypeError(
            f"x0 must be one Tensor, not {kind(x0)}: states of several parts are stacked or flattened into one"
        )
    if x0.layout != torch.strided:
        raise TypeError(f"x0 has the layout {x0.layout}, and states are dense: give x0.to_dense()")
    if not (x0.is_floating_point() or x0.is_complex()):
        raise TypeError(
            f"x0 has the dtype {x0.dtype}, which has no derivatives: give x0.float() or x0.double()"
        )
    if x0.is_inference() and not torch.is_inference_mode_enabled():
        x0 = x0.clone()
    return x0.detach()


def kind(value: object) -> str:
    """What a value is, in words."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def instance_of_a_part(name: str, part: object, example: str) -> None:
    """Refuse what cannot be a part of a solver: a class in place of its instance, or no function at all.

    Raises:
        ValueError: it is neither a policy nor a function.
    """
    if isinstance(part, type):
        raise ValueError(f"{name} is the class {part.__name__}: give an instance of it, {part.__name__}(…)")
    if not callable(part):
        raise ValueError(f"{name} must be a solve such as {example}, not {part!r}")


def transformed() -> bool:
    """Whether a transform of ``torch.func``, or forward-mode differentiation, is at work."""
    return bool(torch._C._are_functorch_transforms_active()) or forward_ad._current_level >= 0  # pyright: ignore[reportPrivateUsage]


def batched(v: Tensor) -> bool:
    """Whether ``v`` stands for many cotangents, in the old or the new way of ``vmap``."""
    return transformed() or "Batched" in str(torch._C._dispatch_keys(v))  # pyright: ignore[reportPrivateUsage]


def no_transforms(label: str) -> RuntimeError:
    """What to say where a transform meets a solver that it cannot see through."""
    return RuntimeError(
        f"torch.func transforms and forward-mode derivatives do not go through {label}: take torch.autograd.grad, or "
        "a solver of recorded layers, such as unrolled(K) or restarted_jfb(K, R)"
    )


def untracked() -> ExitStack:
    """No tape, of either mode: ``torch.no_grad`` alone lets tangents pass."""
    stack = ExitStack()
    stack.enter_context(torch.no_grad())
    if forward_ad._current_level >= 0:  # pyright: ignore[reportPrivateUsage]
        stack.enter_context(forward_ad._set_fwd_grad_enabled(False))  # pyright: ignore[reportPrivateUsage]
    return stack


@contextmanager
def blamed_on(label: str) -> Generator[None]:
    """Say it in words where a transform cannot see through a part."""
    try:
        yield
    except RuntimeError as error:
        if transformed():
            raise no_transforms(label) from error
        raise


def callable_solver(solver: object) -> None:
    """Refuse what only makes a solver: a class, or a factory such as ``deq`` in place of ``deq(1e-6)``.

    Raises:
        TypeError: it is no solver.
    """
    name = getattr(solver, "__name__", "")
    made = cast("dict[str, object]", getattr(solver, "__annotations__", {})).get("return")
    if isinstance(solver, type) or getattr(made, "__name__", made) == "Solver":
        raise TypeError(f"solver is {name}, which makes one: call it, {name}(…)")
    if not callable(solver):
        raise TypeError(f"solver must be a solver such as deq(1e-6), not {kind(solver)}")
