"""Linear maps with a known adjoint, differentiated without saving anything on the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

Linear: TypeAlias = Callable[[Tensor], Tensor]
"""A linear map ``(..., H, W) -> (..., H, W)`` that treats every entry of the leading dimensions separately."""


def linear(x: Tensor, forward: Linear, adjoint: Linear) -> Tensor:
    """``forward(x)`` with ``adjoint`` as its derivative.

    Differentiable in x any number of times, in both modes and under ``torch.func``. Tensors that the maps close over
    get no gradient: call it only if ``tracked`` is false for all of them.
    """
    if not torch.is_grad_enabled() and (torch.compiler.is_compiling() or not in_transform()):
        return forward(x)  # a Function would cost time and change nothing
    return cast(Tensor, _Linear.apply(x, forward, adjoint))


def tracked(*tensors: object) -> bool:
    """Whether one of the tensors is differentiated: by autograd, in forward mode, or by ``torch.func``."""
    return any(isinstance(tensor, Tensor) and _tracked(tensor) for tensor in tensors)


def _tracked(tensor: Tensor) -> bool:
    if (
        torch.compiler.is_compiling()
    ):  # the compiler knows neither of the other two, and code without a tape alone
        return tensor.requires_grad
    return tensor.requires_grad or transformed(tensor) or forward_ad.unpack_dual(tensor).tangent is not None


def transformed(*tensors: Tensor) -> bool:
    """Whether one of the tensors belongs to a transform of ``torch.func``."""
    return any(bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor)) for tensor in tensors)  # pyright: ignore


def in_transform() -> bool:
    """Whether a transform of ``torch.func`` is active, in which no tensor can be made to require a gradient."""
    return torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, forward: Linear, adjoint: Linear) -> Tensor:
        return forward(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Linear, Linear], output: Tensor) -> None:
        ctx.maps = inputs[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        forward, adjoint = ctx.maps
        return linear(grads[0], adjoint, forward), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:
        return linear(tangents[0], *ctx.maps)

    @staticmethod
    def vmap(  # pyright: ignore[reportIncompatibleMethodOverride]
        info: Any, in_dims: tuple[int, None, None], x: Tensor, forward: Linear, adjoint: Linear
    ) -> tuple[Tensor, int]:
        return linear(x.movedim(in_dims[0], 0), forward, adjoint), 0
