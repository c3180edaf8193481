"""The spectrum of parallel magnetic resonance imaging, ``y_c = M F S_c x``.

With F unitary, ``AᵀA = Σ_c S_c* F* M² F S_c``.

- Lines of k-space that are measured or left out as a whole (a Cartesian mask): the transform along the lines cancels,
  so ``AᵀA`` is one Hermitian matrix for each place along them, ``G ∘ P`` with ``G = F* M² F`` across the lines, and
  ``P_ij = Σ_c conj(S_c(i)) S_c(j)``; all eigenvalues are computed.
- Any other mask: ``‖A‖² ≤ max M² · max_x Σ_c |S_c(x)|²``, since ``‖M F S_c x‖ ≤ max|M| ‖S_c x‖``.
"""

from __future__ import annotations

from typing import cast

import torch
from deepinv.physics import MultiCoilMRI
from torch import Tensor

from ..utils.errors import UserError
from .lanczos import largest_ritz
from .spectrum import Basis, Spectrum

ROUNDING = 1e-11
"""Relative to the largest eigenvalue: more than a dense eigenvalue solver rounds off in float64."""
LARGEST_SIDE = 512
"""Pixels of a line beyond which no dense matrices are made."""


def coil_spectrum(physics: MultiCoilMRI) -> Spectrum:
    """The spectrum of a physics of two dimensions, computed in float64.

    Raises ``UserError`` if a coil map is zero everywhere or not finite.
    """
    maps = cast(Tensor, physics.coil_maps).detach().to("cpu", torch.complex128)
    power = cast(Tensor, physics.mask).detach().to("cpu", torch.float64).square()
    check_maps(maps)
    if power.shape[1] == 2 and torch.equal(power[:, 0], power[:, 1]):
        m = power[:, 0]
        if torch.equal(m, m[:, :1].expand_as(m)) and m.shape[-1] <= LARGEST_SIDE:
            return _lines(maps, m[:, 0])
        if torch.equal(m, m[:, :, :1].expand_as(m)) and m.shape[-2] <= LARGEST_SIDE:
            return _lines(maps.transpose(-2, -1), m[:, :, 0])
    bound = float(power.max()) * float(maps.abs().square().sum(1).max()) * (1 + ROUNDING)
    double = MultiCoilMRI(mask=power.sqrt(), coil_maps=maps, img_size=tuple(maps.shape[-2:]))
    shape = (max(len(maps), len(power)), 2, *maps.shape[-2:])
    ritz = largest_ritz(lambda x: cast(Tensor, double.A_adjoint(double.A(x))), shape)
    return Spectrum(0.0, bound, Basis.PROVEN, min(ritz.value, bound), ritz.applications)


def check_maps(maps: Tensor) -> None:
    """Refuse coil maps ``(B, N, H, W)`` of which one is zero everywhere, or not finite. Raises ``UserError``."""
    size = maps.abs().amax((-2, -1))
    if not bool(size.isfinite().all()):
        raise UserError("a coil map has entries that are not finite: give maps of finite numbers")
    if bool((size == 0).any()):
        coil = int((size == 0).any(0).nonzero()[0])
        raise UserError(f"coil map {coil} of {maps.shape[1]} is zero everywhere: leave the coil out")


def _lines(maps: Tensor, power: Tensor) -> Spectrum:
    """Maps ``(B, N, H, W)`` and a mask² ``(B, W)`` of whole lines: W² matrices, for each of H places."""
    eye = torch.eye(power.shape[-1], dtype=torch.complex128)
    transform = MultiCoilMRI.fft(eye, dim=(-1,)).T  # the columns are transforms of unit vectors
    least, largest = float("inf"), 0.0
    for b in range(max(len(maps), len(power))):
        of, m = maps[min(b, len(maps) - 1)], power[min(b, len(power) - 1)]
        gram = transform.conj().T @ (m[:, None] * transform)
        for place in of.transpose(0, 1):  # (N, W)
            values = torch.linalg.eigvalsh(gram * (place.conj().T @ place))
            least, largest = min(least, float(values[0])), max(largest, float(values[-1]))
    slack = ROUNDING * largest
    return Spectrum(max(0.0, least - slack), largest + slack, Basis.EXACT, max(0.0, largest - slack))
