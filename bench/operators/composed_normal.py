"""``AᵀA`` of a physics without known singular vectors, by its own methods."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import cast
from weakref import WeakKeyDictionary

import torch
from deepinv.physics import LinearPhysics, MultiCoilMRI, Tomography
from torch import Tensor

from ..spectra import Spectrum, known_enclosure
from ..spectra.enclosure import in_float64, transposes
from ..utils.saved_tensor_hooks import apply_built
from .linear_autograd import Linear, linear, tracked

TRANSFORM = 10.0
"""A pair of Fourier transforms of n numbers rounds off less than this times log₂ n units, relative to the norm."""

Stamp = tuple[tuple[Tensor, int], ...]
_known: WeakKeyDictionary[LinearPhysics, tuple[tuple[int, ...], Stamp, Spectrum]] = WeakKeyDictionary()
"""Spectra by physics, for the size of an image and the versions of its tensors."""


@dataclass(frozen=True, slots=True, eq=False)
class ComposedNormal:
    """``AᵀA`` of any physics, by its own methods.

    Attributes:
        physics: linear.
        shape: ``(C, H, W)`` of an image; empty if unknown.
    """

    physics: LinearPhysics
    shape: tuple[int, ...] = ()

    def __call__(self, x: Tensor) -> Tensor:
        """``AᵀA x`` for images ``(..., C, H, W)``."""
        return apply_built(self.physics.A_adjoint_A, x.reshape(-1, *x.shape[-3:])).view(x.shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """``Aᵀy`` for measurements ``(B, …)``; also under ``torch.func``, which deepinv's projections refuse."""
        A = self.physics
        if type(A) is Tomography and self.parameterless():
            return linear(y, partial(_apply, A.A_adjoint), partial(_apply, A.A))
        return apply_built(A.A_adjoint, y)

    def on(self, shape: tuple[int, ...]) -> ComposedNormal:
        """The operator for images of ``shape`` ``(C, H, W)``."""
        return replace(self, shape=tuple(shape))

    def spectrum(self) -> Spectrum | None:
        """Exact or proven bounds; ``None`` for a physics without. Computed once, and again if its tensors change."""
        if self.rounding() is None or len(self.shape) != 3:
            return None
        stamp = tuple((t, t._version) for t in _tensors(self.physics))
        found = _known.get(self.physics)
        if found is None or found[0] != self.shape or not _same(found[1], stamp):
            known = known_enclosure(self.physics, cast(tuple[int, ...], self.shape))
            if known is None:
                return None
            found = self.shape, stamp, known
            _known[self.physics] = found
        return found[2]

    def rounding(self) -> float | None:
        """Units of float64 rounding that an application adds, relative to ``‖A‖² ‖x‖``; ``None`` if unknown.

        A sum of n multiples rounds off less than n units of the sum of absolute values: its norm is at most ``‖A‖ ‖x‖``
        where A has no negative entry, as projections.
        """
        physics = self.physics
        if type(physics) is MultiCoilMRI and not physics.three_d:
            maps = cast(Tensor, physics.coil_maps)
            return TRANSFORM * math.log2(2 * maps[0, 0].numel()) + 4 * maps.shape[1]
        if type(physics) is Tomography and transposes(physics):
            grid = cast(Tensor, physics.radon.all_grids)
            # A projection sums along a side, its adjoint four weights an angle.
            return 8.0 * (grid.shape[1] + grid.shape[2])
        return None

    def parameterless(self) -> bool:
        """Whether all tensors of A are seen in its buffers, and none is differentiated."""
        return self.rounding() is not None and not tracked(*_tensors(self.physics))

    def in_float64(self) -> ComposedNormal | None:
        """The same operator in float64, from the same numbers; ``None`` if the tensors of A are not known to be all."""
        tensors = _tensors(self.physics)
        if not self.parameterless():
            return None
        coarse = (torch.float32, torch.complex64)
        on_cpu = all(t.device.type == "cpu" for t in tensors)
        if on_cpu and not any(t.dtype in coarse for t in tensors):
            return self
        return ComposedNormal(in_float64(self.physics).to(next(iter(tensors)).device), self.shape)


def _apply(function: Linear, x: Tensor) -> Tensor:
    """A function of ``(B, C, H, W)``, applied to ``(..., C, H, W)``."""
    y = apply_built(function, x.reshape(-1, *x.shape[-3:]))
    return y.view(*x.shape[:-3], *y.shape[-3:])


def _tensors(physics: LinearPhysics) -> list[Tensor]:
    return [*physics.parameters(), *physics.buffers()]


def _same(a: Stamp, b: Stamp) -> bool:
    return len(a) == len(b) and all(s is t and v == w for (s, v), (t, w) in zip(a, b, strict=True))
