"""The data term ``½‖Ax − y‖²``, by ``AᵀA`` and ``Aᵀy``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from deepinv.physics import LinearPhysics, Physics
from torch import Tensor

from ..utils.errors import UserError
from .aliased_normal import AliasedNormal
from .composed_normal import TRANSFORM, ComposedNormal
from .counts import CountedBlur, WeightedNormal
from .linear_autograd import Linear, linear, tracked
from .normal import DiagonalNormal, FourierNormal, SpectralNormal, normal_operator, spectrum_bounds
from .physics_tape import check_tape


@dataclass(frozen=True, slots=True)
class DataFidelity:
    """``½‖Ax − y‖²`` of each sample, by its gradient ``AᵀA x − Aᵀy``.

    The gradient is differentiable in y and in the parameters of A (kernel, mask, gain): if one of them requires a
    gradient, ``AᵀA x`` and ``Aᵀy`` are recomputed by recorded operations at each application.

    Attributes:
        normal: ``AᵀA``, on ``(..., C, H, W)``; ``AᵀWA`` for counts, whose least squares are weighted.
        backprojection: ``Aᵀy``, or ``AᵀWy``, ``(B, C, H, W)``.
        y: measurements ``(B, …)``.
    """

    normal: Linear
    backprojection: Tensor
    y: Tensor

    def descent(self, x: Tensor) -> Tensor:
        """``Aᵀ(y − Ax)``, the negative gradient at images ``x`` ``(B, C, H, W)``."""
        N = self.normal
        if isinstance(N, ComposedNormal):
            return self._composed_descent(N, x)
        if self.requires_grad():
            if isinstance(N, SpectralNormal):
                N = N.differentiable()
            if isinstance(N, SpectralNormal | WeightedNormal):
                return N.adjoint(self.y) - N(x)
        return self.backprojection - linear(x, N, N)

    def prox(
        self, z: Tensor, step: float | Tensor, shift: float = 1.0, offset: float | Tensor = 0.0
    ) -> Tensor:
        """``(κ + γ AᵀA)⁻¹ (z + c + γ Aᵀy)`` for images ``z`` ``(B, C, H, W)``: ``prox_{γf}(z)`` for κ = 1 and c = 0.

        Args:
            z: images.
            step: γ > 0.
            shift, offset: κ > 0 and c; with a ridge ``ε/2 ‖x − m‖²`` they are ``1 + γε`` and ``γεm``.

        Raises:
            UserError: the singular values of A are unknown, so the prox has no closed form.
        """
        N, backprojection = self.normal, self.backprojection
        if not isinstance(N, SpectralNormal):
            name = type(N.physics if isinstance(N, ComposedNormal | WeightedNormal) else N).__name__
            raise UserError(
                f"the prox of the data term of {name} has no closed form: choose forward_backward"
            )
        if self.requires_grad():
            N = N.differentiable()
            backprojection = N.adjoint(self.y)
        # The mask of deepinv's Denoising is float32, whatever the images are.
        inverse = N.resolvent(step, shift, z.dtype)
        right = (
            torch.add(z, backprojection, alpha=step) if isinstance(step, float) else z + step * backprojection
        )
        right = right.add_(offset)  # in place: it is a tensor of its own
        return inverse(right) if inverse.requires_grad() or tracked(step) else linear(right, inverse, inverse)

    def requires_grad(self) -> bool:
        """Whether y or a parameter of A is differentiated; parameters of a ``ComposedNormal`` are not seen."""
        N = self.normal
        return tracked(self.y) or (isinstance(N, SpectralNormal | WeightedNormal) and N.requires_grad())

    def spectrum(self) -> tuple[float, float] | None:
        """Proven bounds on the eigenvalues of ``AᵀA``, rounded outward; ``None`` if there are none."""
        if isinstance(self.normal, SpectralNormal):
            return spectrum_bounds(self.normal)
        known = self.normal.spectrum() if isinstance(self.normal, ComposedNormal | WeightedNormal) else None
        return known.ends if known is not None and known.rigorous else None

    def rounding(self) -> float:
        """Units of float64 rounding that ``AᵀA x`` adds, relative to ``‖A‖² ‖x‖``; ``nan`` if unknown."""
        N = self.normal
        if isinstance(N, DiagonalNormal):
            return 0.0
        if isinstance(N, ComposedNormal | WeightedNormal):
            units = N.rounding()
            return math.nan if units is None else units
        # A complex transform has two numbers a pixel.
        return TRANSFORM * math.log2(2 * self.backprojection[0].numel())

    def in_float64(self) -> DataFidelity | None:
        """The same data term in float64, from the same numbers; ``None`` if the parameters of A are unknown."""
        N, y = self.normal, self.y.detach().double()
        if isinstance(N, SpectralNormal | WeightedNormal):
            N = N.in_float64()
            return DataFidelity(N, N.adjoint(y), y)
        if not isinstance(N, ComposedNormal) or (double := N.in_float64()) is None:
            return None
        return DataFidelity(double, double.adjoint(y), y)

    def select(self, index: Tensor) -> DataFidelity:
        """The data term of the samples at ``index``."""
        N = self.normal
        if isinstance(N, SpectralNormal | WeightedNormal):
            N = N.select(index, len(self.y))
        return DataFidelity(N, self.backprojection[index], self.y[index])

    def _composed_descent(self, N: ComposedNormal, x: Tensor) -> Tensor:
        """By the methods of the physics, so that autograd finds any parameters of A; without a tape if it has none."""
        if N.parameterless() and not self.requires_grad():
            return self.backprojection - linear(x, N, N)
        descent = N.physics.A_adjoint(self.y - N.physics.A(x))
        if x.requires_grad and torch.is_grad_enabled() and not descent.requires_grad:
            # The physics computes without gradients: differentiate by AᵀA, which is its own adjoint.
            return self.backprojection - linear(x, N, N)
        return descent


def data_fidelity(y: Tensor, physics: LinearPhysics) -> DataFidelity:
    """The data term of measurements ``y``, ``(B, C, H, W)`` or of another shape that A makes of images.

    Raises ``UserError`` if the physics is not linear, has no adjoint, does not fit the measurements, or would drop
    a part of a derivative in a tensor that requires a gradient.
    """
    name = type(physics).__name__
    if isinstance(physics, type):
        raise UserError(f"the physics is the class {physics.__name__}: make one, e.g. {physics.__name__}(…)")
    if isinstance(physics, Physics) and not isinstance(physics, LinearPhysics):
        raise UserError(f"{name} is not a linear physics: the data term ½‖Ax − y‖² needs one with A_adjoint")
    if not callable(getattr(physics, "A_adjoint", None)):
        raise UserError(f"{name} has no A_adjoint: give a LinearPhysics that has one")
    N = normal_operator(physics)
    try:
        backprojection = N.adjoint(y) if isinstance(N, ComposedNormal) else cast(Tensor, physics.A_adjoint(y))
        if isinstance(physics, CountedBlur):
            N = WeightedNormal(physics, physics.weights(y))
            backprojection = N.adjoint(y)
        elif isinstance(N, ComposedNormal):  # a misfit is found here rather than in an iteration
            check_tape(N.physics, y, backprojection)
        elif isinstance(N, FourierNormal) and N.stale():
            raise UserError(
                f"the filter of {name} requires a gradient, but was changed after its spectrum was computed: "
                "call physics.update(filter=…) after each change, or make the physics anew"
            )
    except UserError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        shape = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__  # pyright: ignore[reportUnnecessaryIsInstance]
        first_line = str(error).partition("\n")[0]
        raise UserError(
            f"{name} does not take measurements of {shape}: give it A_adjoint (or img_size), and y of its size; "
            f"it says: {first_line}"
        ) from error
    fits = backprojection.shape == y.shape or isinstance(N, AliasedNormal | ComposedNormal)
    if isinstance(N, ComposedNormal):
        N = N.on(tuple(backprojection.shape[1:]))
    elif not fits or backprojection.dtype != y.dtype or y.is_complex():
        raise UserError(
            f"measurements of {tuple(y.shape)} and {y.dtype} do not fit {name}, whose adjoint makes "
            f"{tuple(backprojection.shape)} and {backprojection.dtype} of them: give real ones of its size and dtype"
        )
    return DataFidelity(N, backprojection, y)
