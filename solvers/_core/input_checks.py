"""Checks of what a user gives a solver: T, x0, the loss, and its parts. ``map_guard`` checks what T returns."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .maps import Map

PROTOCOLS = ("select", "regularity", "stages")
"""Optional methods of a map: those of ``SupportsSelect``, ``HasDerivativeBounds`` and ``SupportsStages``."""


def copy_protocols(wrapper: object, T: Map, select: Callable[[Tensor], Map] | None = None) -> None:
    """Give a wrapper of ``T`` the optional methods that ``T`` has, and no others.

    Solvers ask for these by ``isinstance`` of a protocol, which also finds attributes of an instance. So no class is
    needed for each combination of methods. ``select`` replaces ``T.select``, so that selected maps are wrapped too; it
    must not refer to the wrapper, which would be a reference cycle.
    """
    for name in PROTOCOLS:
        method = getattr(T, name, None)
        if callable(method):
            setattr(wrapper, name, select if name == "select" and select is not None else method)


def checked_start(T: object, x0: object, loss: object) -> Tensor:
    """Return ``x0`` without a tape; raise ``TypeError`` if T, x0 or the loss cannot be used."""
    if isinstance(T, type):
        raise TypeError(f"T is the class {T.__name__}, not a map: give an instance of it, {T.__name__}(…)")
    if not callable(T):
        raise TypeError(f"T must be a map x -> T(x), not {type_name(T)}")
    if loss is not None and (isinstance(loss, type) or not callable(loss)):
        raise TypeError(f"loss must be a function x -> loss(x), not {type_name(loss)}")
    if not isinstance(x0, Tensor):
        raise TypeError(
            f"x0 must be one Tensor, not {type_name(x0)}: stack or flatten a state of several parts into one"
        )
    if x0.layout != torch.strided:
        raise TypeError(f"x0 must be dense, not of the layout {x0.layout}: give x0.to_dense()")
    if not (x0.is_floating_point() or x0.is_complex()):
        raise TypeError(
            f"x0 has the dtype {x0.dtype}, which has no derivatives: give x0.float() or x0.double()"
        )
    if x0.is_inference() and not torch.is_inference_mode_enabled():
        x0 = x0.clone()
    return x0.detach()


def checked_adjoint(u0: object, x0: Tensor) -> Tensor:
    """Return ``u0`` without a tape; raise ``TypeError`` or ``ValueError`` if it cannot be an adjoint at ``x0``."""
    if not isinstance(u0, Tensor):
        raise TypeError(f"u0 must be a Tensor like x0, an earlier solution.adjoints[-1], not {type_name(u0)}")
    if u0.shape != x0.shape:
        raise ValueError(f"u0 must have the shape {tuple(x0.shape)} of x0, not {tuple(u0.shape)}")
    if u0.dtype != x0.dtype:
        raise TypeError(f"u0 must have the dtype {x0.dtype} of x0, not {u0.dtype}: give u0.to(x0)")
    if u0.device != x0.device:
        raise ValueError(f"u0 must be on {x0.device} as x0 is, not on {u0.device}: give u0.to(x0)")
    return u0.detach()


def type_name(value: object) -> str:
    """Return the type of a value in words, e.g. ``a list``."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def check_part(name: str, part: object, example: str) -> None:
    """Raise ``ValueError`` if a part of a solver is a class in place of its instance, or no function."""
    if isinstance(part, type):
        raise ValueError(f"{name} is the class {part.__name__}: give an instance of it, {part.__name__}(…)")
    if not callable(part):
        raise ValueError(f"{name} must be a callable such as {example}, not {part!r}")


def require_solver(solver: object) -> None:
    """Raise ``TypeError`` for a class, a factory such as ``deq`` in place of ``deq(1e-6)``, or no function."""
    name = getattr(solver, "__name__", "")
    result = cast("dict[str, object]", getattr(solver, "__annotations__", {})).get("return")
    if isinstance(solver, type) or getattr(result, "__name__", result) == "Solver":
        raise TypeError(f"solver is {name}, which makes one: call it, {name}(…)")
    if not callable(solver):
        raise TypeError(f"solver must be a solver such as deq(1e-6), not {type_name(solver)}")


def in_transform() -> bool:
    """Whether a transform of ``torch.func``, or forward-mode differentiation, is active."""
    return bool(torch._C._are_functorch_transforms_active()) or forward_ad._current_level >= 0  # pyright: ignore[reportPrivateUsage]


def is_batched(v: Tensor) -> bool:
    """Whether ``v`` is a batch of cotangents, of ``torch.func.vmap`` or of its predecessor in autograd."""
    return in_transform() or "Batched" in str(torch._C._dispatch_keys(v))  # pyright: ignore[reportPrivateUsage]


def transform_error(label: str) -> RuntimeError:
    return RuntimeError(
        f"torch.func transforms and forward-mode derivatives do not go through {label}: use torch.autograd.grad, or "
        "a solver that backpropagates through recorded layers, such as unrolled(K) or restarted_jfb(K, R)"
    )


def no_tape() -> ExitStack:
    """Disable both modes of differentiation: ``torch.no_grad`` alone lets forward-mode tangents pass."""
    stack = ExitStack()
    stack.enter_context(torch.no_grad())
    if forward_ad._current_level >= 0:  # pyright: ignore[reportPrivateUsage]
        stack.enter_context(forward_ad._set_fwd_grad_enabled(False))  # pyright: ignore[reportPrivateUsage]
    return stack


@contextmanager
def explained_transform_errors(label: str) -> Generator[None]:
    """Replace a ``RuntimeError`` inside a transform by ``transform_error(label)``."""
    try:
        yield
    except RuntimeError as error:
        if in_transform():
            raise transform_error(label) from error
        raise
