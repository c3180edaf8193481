"""Linear maps whose adjoint is known, so that autograd need not find it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

Linear: TypeAlias = Callable[[Tensor], Tensor]
"""A linear map on any number of leading dimensions, each entry of which it treats alone."""


def linear(x: Tensor, forward: Linear, adjoint: Linear) -> Tensor:
    """``forward(x)``, differentiated by ``adjoint``: nothing is saved on the tape.

    Differentiable in x as often as one likes, in both modes, and under ``torch.func``. Nothing flows into what the
    maps close over: call it only where ``tracked`` is false of all that.

    Args:
        x: ``(..., H, W)``.
        forward, adjoint: each the adjoint of the other, made of operations that ``torch.func`` knows.
    """
    if not torch.is_grad_enabled():  # the same value without the price of a Function
        return forward(x)
    return cast(Tensor, _Linear.apply(x, forward, adjoint))


def tracked(*tensors: object) -> bool:
    """Whether somebody may ask for the derivative in one of them: by autograd, forward, or under ``torch.func``."""
    return any(isinstance(tensor, Tensor) and _tracked(tensor) for tensor in tensors)


def _tracked(tensor: Tensor) -> bool:
    if torch.compiler.is_compiling():  # which knows neither of the other two, and has no tape here
        return tensor.requires_grad
    return tensor.requires_grad or wrapped(tensor) or forward_ad.unpack_dual(tensor).tangent is not None


def wrapped(*tensors: Tensor) -> bool:
    """Whether one of them belongs to a transform of ``torch.func``."""
    return any(bool(torch._C._functorch.is_functorch_wrapped_tensor(tensor)) for tensor in tensors)  # pyright: ignore


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
