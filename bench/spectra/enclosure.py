"""Which bound holds for which physics."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

import torch
from deepinv.physics import DecomposablePhysics, Downsampling, LinearPhysics, MultiCoilMRI, Tomography
from torch import Tensor

from ..utils.saved_tensor_hooks import apply_built
from .aliasing import aliased_spectrum, folds
from .coils import coil_spectrum
from .collatz_wielandt import enclose
from .lanczos import largest_ritz
from .spectrum import Basis, HasSpectrum, Spectrum


def spectrum_of(physics: LinearPhysics, shape: tuple[int, ...]) -> Spectrum:
    """Bounds on the eigenvalues of ``AᵀA``: exact or proven where the physics is known, otherwise an estimate.

    The upper end of an estimate is the largest Ritz value and its residual; eigenvalues may lie beyond it.

    Args:
        physics: linear, with an exact adjoint (see ``check_adjoint``).
        shape: ``(C, H, W)`` of an image.
    """
    if (known := known_enclosure(physics, shape)) is not None:
        return known
    double = in_float64(physics)
    ritz = largest_ritz(_normal(double), (1, *shape))
    largest = ritz.value + ritz.residual
    return Spectrum(0.0, largest, Basis.ESTIMATE, ritz.value, ritz.applications)


def known_enclosure(physics: LinearPhysics, shape: tuple[int, ...]) -> Spectrum | None:
    """Exact or proven bounds on the eigenvalues of ``AᵀA`` on images of ``shape``; ``None`` if there are none.

    Exact singular values of a ``DecomposablePhysics`` are taken from its mask, as it states them.
    """
    if isinstance(physics, HasSpectrum):
        return physics.spectrum(shape)
    if isinstance(physics, DecomposablePhysics):
        values = torch.as_tensor(physics.mask).detach().abs().double().square()
        return Spectrum(float(values.min()), float(values.max()), Basis.EXACT, float(values.max()))
    # Not isinstance: a subclass may be another map.
    if type(physics) is MultiCoilMRI and not physics.three_d:
        return coil_spectrum(physics)
    if type(physics) is Downsampling and folds(physics, shape):
        return aliased_spectrum(physics, shape)
    if type(physics) is Tomography and transposes(physics):
        return _projections(physics, shape)
    return None


def transposes(physics: Tomography) -> bool:
    """Whether the adjoint is the exact transpose, by autograd, and not a back-projection with its own interpolation."""
    return bool(physics.fan_beam or physics.adjoint_via_backprop)


def _projections(physics: Tomography, shape: tuple[int, ...]) -> Spectrum | None:
    """A projection sums bilinear interpolations, whose weights are not negative; nor are those of ``AᵀA``, then."""
    double = in_float64(physics)
    one = torch.ones(1, *shape, dtype=torch.float64)
    found = enclose(_normal(double), one)
    if found is None:
        return None
    return Spectrum(0.0, found.upper, Basis.PROVEN, found.lower, found.applications)


def _normal(physics: LinearPhysics) -> Callable[[Tensor], Tensor]:
    return lambda x: apply_built(physics.A_adjoint, cast(Tensor, physics.A(x)))


def in_float64(physics: LinearPhysics) -> LinearPhysics:
    """A copy on the CPU in float64, of the same numbers; complex tensors keep their precision."""
    double = copy.deepcopy(physics).cpu().double()
    if isinstance(double, Tomography):
        double.dtype = torch.float64
        # The cached adjoint is that of the original.
        double._auto_grad_adjoint_fn = None  # pyright: ignore[reportPrivateUsage]
    return double
