"""The data term ``½‖Ax − y‖²`` as an iteration needs it: through ``AᵀA`` and ``Aᵀy``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from deepinv.physics import LinearPhysics
from deepinv.physics import Physics as AnyPhysics
from torch import Tensor

from ..utils.errors import UserError
from .linear_autograd import Linear, linear, tracked
from .normal import ComposedNormal, DiagonalNormal, FourierNormal, normal

__all__ = ["ComposedNormal", "DataFidelity", "DiagonalNormal", "FourierNormal", "data_fidelity", "normal"]


@dataclass(frozen=True, slots=True)
class DataFidelity:
    """``½‖Ax − y‖²`` of each sample, by its gradient ``AᵀA x − Aᵀy``.

    Its derivative in y and in what A is made of (a kernel, a mask, a gain) is complete: where one of them requires a
    gradient, both halves of ``AᵀA x − Aᵀy`` are made of differentiable operations, anew at each application.

    Attributes:
        normal: ``AᵀA``, on ``(..., C, H, W)``.
        back: ``Aᵀy``, ``(B, C, H, W)``.
        y: measurements.
    """

    normal: Linear
    back: Tensor
    y: Tensor

    def descent(self, x: Tensor) -> Tensor:
        """``Aᵀ(y − Ax)``, minus the gradient in images ``x`` ``(B, C, H, W)``."""
        N = self.normal
        if isinstance(N, ComposedNormal):
            return self._through(N, x)
        if isinstance(N, FourierNormal | DiagonalNormal) and self.learned():
            fresh = N.fresh()
            return fresh.adjoint(self.y) - fresh(x)
        return self.back - linear(x, N, N)

    def learned(self) -> bool:
        """Whether y, or what A is made of, requires a gradient; ``False`` where nobody can look into A."""
        return tracked(self.y) or (
            isinstance(self.normal, FourierNormal | DiagonalNormal) and self.normal.learned()
        )

    def spectrum(self) -> tuple[float, float] | None:
        """Smallest and largest eigenvalue of ``AᵀA``, rounded outward; ``None`` where they are not read off."""
        return self.normal.spectrum() if isinstance(self.normal, FourierNormal | DiagonalNormal) else None

    def exact(self) -> DataFidelity | None:
        """The same in float64, of the same numbers; ``None`` where A does not say what it is made of."""
        if not isinstance(self.normal, FourierNormal | DiagonalNormal):
            return None
        N, y = self.normal.exact(), self.y.detach().double()
        return DataFidelity(N, N.adjoint(y), y)

    def select(self, index: Tensor) -> DataFidelity:
        """That of the samples at ``index`` alone."""
        N = self.normal
        picked = N.select(index, len(self.y)) if isinstance(N, FourierNormal | DiagonalNormal) else N
        return DataFidelity(picked, self.back[index], self.y[index])

    def _through(self, N: ComposedNormal, x: Tensor) -> Tensor:
        """By the physics' own methods, through which autograd finds whatever they are made of."""
        found = N.physics.A_adjoint(self.y - N.physics.A(x))
        if x.requires_grad and torch.is_grad_enabled() and not found.requires_grad:
            # It works without gradients: then it is trusted that AᵀA is its own adjoint.
            return self.back - linear(x, N, N)
        return found


def data_fidelity(y: Tensor, physics: LinearPhysics) -> DataFidelity:
    """The data term of measurements ``y`` ``(B, C, H, W)``.

    Raises:
        UserError: the physics is not linear, has no adjoint, or does not fit the measurements.
    """
    name = type(physics).__name__
    if isinstance(physics, type):
        raise UserError(f"the physics is the class {physics.__name__}: make one, e.g. {physics.__name__}(…)")
    if isinstance(physics, AnyPhysics) and not isinstance(physics, LinearPhysics):
        raise UserError(f"{name} is not a linear physics: the data term ½‖Ax − y‖² needs one with A_adjoint")
    if not callable(getattr(physics, "A_adjoint", None)):
        raise UserError(f"{name} has no A_adjoint: give a LinearPhysics that has one")
    N = normal(physics)
    try:
        back = cast(Tensor, physics.A_adjoint(y))
        if isinstance(N, ComposedNormal):  # once, so that what does not fit is said here
            with torch.no_grad():
                N.physics.A(back.detach())
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        shape = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__  # pyright: ignore[reportUnnecessaryIsInstance]
        first = str(error).partition("\n")[0]
        raise UserError(
            f"{name} does not take measurements of {shape}: give it A_adjoint (or img_size), and y of its size; "
            f"it says: {first}"
        ) from error
    if not isinstance(N, ComposedNormal) and (
        back.shape != y.shape or back.dtype != y.dtype or y.is_complex()
    ):
        raise UserError(
            f"measurements of {tuple(y.shape)} and {y.dtype} do not fit {name}, which makes {tuple(back.shape)} "
            f"and {back.dtype} of them: give real ones of its size and dtype"
        )
    return DataFidelity(N, back, y)
