"""Physics whose methods would drop a part of a derivative in silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from solvers._core.tape import tape_ends

from ..utils.errors import UserError
from .linear_autograd import in_transform, transformed

REMEDY = "write both by recorded torch operations, or let none of their tensors require a gradient"
NOT_OF_A = ("noise_model.", "sensor_model.")
"""Parts of a physics that A does not use; their parameters have the derivative 0."""


def check_tape(physics: LinearPhysics, y: Tensor, like: Tensor) -> None:
    """Check that autograd finds the whole derivative of ``Aᵀ(y − Ax)`` in x and in the parameters of A.

    A tensor that a method of the physics uses is seen on its tape. The adjoint uses what A uses, so a tensor on one of
    the two tapes alone is one whose derivative would be half. deepinv's ``adjoint_function`` records nothing but y.

    Costs an application of A, and one of its adjoint if something requires a gradient.

    Args:
        physics: any linear one.
        y: measurements.
        like: ``Aᵀy``.

    Raises:
        UserError: a part of the derivative would be missing.
    """
    name = type(physics).__name__
    if torch.is_inference_mode_enabled() or in_transform():
        physics.A(like)
        return
    with torch.enable_grad():
        x = like.detach().clone().requires_grad_()
        Ax = cast(Tensor, physics.A(x))
        if transformed(Ax, y):
            return
        learned, declared = _leaves(Ax, but=x), _declared(physics)
        if not (learned or declared or like.requires_grad or y.requires_grad):
            return
        z = y.detach().clone().requires_grad_()
        back = cast(Tensor, physics.A_adjoint(z))
    by_adjoint = _leaves(back, but=z)
    alone = [
        leaf for key, leaf in (learned | by_adjoint).items() if not (key in learned and key in by_adjoint)
    ]
    if alone:
        owner, other = ("A", "A_adjoint") if id(alone[0]) in learned else ("A_adjoint", "A")
        raise UserError(
            f"a tensor of shape {tuple(alone[0].shape)} requires a gradient, and is on the tape of {owner} of {name} "
            f"but not of {other}: {REMEDY}"
        )
    if learned and not (_reaches(Ax, x) and _reaches(back, z)):
        raise UserError(
            f"{name} records its parameters but not the images and measurements that it takes: {REMEDY}"
        )
    if declared and not learned:
        raise UserError(
            f"{declared[0]} of {name} requires a gradient, but is not on the tape of its A: {REMEDY}"
        )
    if y.requires_grad and not _reaches(back, z):
        raise UserError(
            f"the measurements require a gradient, but are not on the tape of A_adjoint of {name}: {REMEDY}"
        )


def _declared(physics: LinearPhysics) -> list[str]:
    """Names of the tensors of the physics that require a gradient."""
    named: Iterator[tuple[str, Tensor]] = iter(())
    if isinstance(physics, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        named = (pair for pairs in (physics.named_parameters(), physics.named_buffers()) for pair in pairs)
    return [name for name, tensor in named if tensor.requires_grad and not name.startswith(NOT_OF_A)]


def _leaves(value: Tensor, but: Tensor) -> dict[int, Tensor]:
    return {id(leaf): leaf for leaf in tape_ends(value).leaves if leaf is not but}


def _reaches(value: Tensor, leaf: Tensor) -> bool:
    return any(found is leaf for found in tape_ends(value).leaves)
