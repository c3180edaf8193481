"""A check that ``A_adjoint`` is the adjoint of A."""

from __future__ import annotations

from typing import cast

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor

from ..utils.errors import UserError

SLACK = 1e4
"""Units of rounding, relative to ``‖Ax‖ ‖z‖``, by which the two products may differ: sums of many terms round off."""
PAIRS = 2


@torch.no_grad()
def check_adjoint(physics: LinearPhysics, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Check ``⟨Ax, z⟩ = ⟨x, A'z⟩`` for two random pairs x, z, on the CPU.

    A product that holds for random vectors holds for all of them, with probability 1 and up to rounding.

    Args:
        physics: on the CPU.
        shape: ``(C, H, W)`` of an image.
        dtype: of the physics, float64 for a sharp check.

    Raises:
        UserError: they differ, the physics does not take images of that shape and dtype, or makes complex numbers.
    """
    name, rng = type(physics).__name__, torch.Generator().manual_seed(0)
    for _ in range(PAIRS):
        x = torch.randn(1, *shape, generator=rng, dtype=torch.float64).to(dtype)
        try:
            y = cast(Tensor, physics.A(x))
            z = torch.randn(y.shape, generator=rng, dtype=torch.float64).to(y.dtype)
            back = cast(Tensor, physics.A_adjoint(z))
        except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
            first = str(error).partition("\n")[0]
            raise UserError(f"{name} does not take images of {shape} in {dtype}; it says: {first}") from error
        if y.is_complex() or back.is_complex():
            raise UserError(
                f"{name} makes complex numbers of real ones: keep the real and the imaginary part of an image in two "
                "channels, as deepinv's MRI does"
            )
        if back.shape != x.shape:
            raise UserError(
                f"A_adjoint of {name} makes {tuple(back.shape)} of the measurements of an image of {tuple(x.shape)}"
            )
        left, right = float((y.double() * z.double()).sum()), float((x.double() * back.double()).sum())
        size = float(torch.linalg.vector_norm(y.double()) * torch.linalg.vector_norm(z.double()))
        coarsest = max((t.dtype for t in (x, y, back)), key=lambda d: torch.finfo(d).eps)
        if not abs(left - right) <= SLACK * torch.finfo(coarsest).eps * size:
            raise UserError(
                f"A_adjoint of {name} is not the adjoint of A: ⟨Ax, z⟩ = {left:.6g}, but ⟨x, A'z⟩ = {right:.6g}; "
                "deepinv's adjoint_function makes the exact one (adjoint_via_backprop=True of Tomography)"
            )
