"""``AᵀA`` of a circular filter and decimation: of rank one on each group of frequencies that alias."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from deepinv.physics import Downsampling
from torch import Tensor

from ..spectra.aliasing import folds, group_sums, kernel_transform
from .linear_autograd import tracked


@dataclass(frozen=True, slots=True, eq=False)
class AliasedNormal:
    """``x -> a x + F⁻¹ conj(K) U(c · D(K F x))``, with D the sum over each group of aliases and U its adjoint.

    ``AᵀA`` has a = 0 and ``c = 1/s²``; so does its resolvent, with other numbers (Zhao et al. 2016).

    Attributes:
        K: transform of the filter, ``(1, 1 or C, H, W)``.
        scale: c, a scalar or ``(1, 1 or C, H/s, W/s)``.
        shift: a.
        kernel: the filter, ``(1, 1 or C, h, w)``.
        shape: ``(C, H, W)`` of an image.
        factor: s.
    """

    K: Tensor
    scale: Tensor
    shift: float
    kernel: Tensor
    shape: tuple[int, ...]
    factor: int

    def __call__(self, x: Tensor) -> Tensor:
        """``AᵀA x`` for images ``(..., C, H, W)``."""
        folded = group_sums(self.K * torch.fft.fft2(x), self.factor) * self.scale
        value = self._spread(folded)
        return torch.add(value, x, alpha=self.shift) if self.shift else value

    def adjoint(self, y: Tensor) -> Tensor:
        """``Aᵀy`` for measurements ``(..., C, H/s, W/s)``."""
        return self._spread(torch.fft.fft2(y))

    def _spread(self, folded: Tensor) -> Tensor:
        s = self.factor
        return torch.fft.ifft2(self.K.conj() * folded.repeat(*[1] * (folded.ndim - 2), s, s)).real

    def requires_grad(self) -> bool:
        """Whether the filter is differentiated."""
        return tracked(self.kernel)

    def differentiable(self) -> AliasedNormal:
        """The same operator, recomputed by recorded operations, so that a tape leads to the filter."""
        return replace(self, K=kernel_transform(self.kernel, self.shape))

    def eigenvalues(self) -> Tensor:
        """All eigenvalues of ``AᵀA`` of one channel, flat and in float64, as often as they occur."""
        N = self.in_float64()
        groups = N._groups().expand(1, self.shape[0], -1, -1).flatten()
        return torch.cat((groups, groups.new_zeros(groups.numel() * (self.factor**2 - 1))))

    def _groups(self) -> Tensor:
        return group_sums(self.K.abs().square(), self.factor) / self.factor**2

    def resolvent(self, step: float | Tensor, shift: float, dtype: torch.dtype) -> AliasedNormal:
        """``(κ + γ AᵀA)⁻¹`` for a step γ and a shift κ, as an operator of the same kind, computed in ``dtype``."""
        K = self.K.to(torch.complex128 if dtype == torch.float64 else torch.complex64)
        at = replace(self, K=K)
        scale = -step / (self.factor**2 * shift * (shift + step * at._groups()))
        return replace(at, scale=scale.to(dtype), shift=1 / shift)

    def in_float64(self) -> AliasedNormal:
        """The same operator in float64, from the same filter."""
        return aliased_normal(self.kernel.detach().double(), self.shape, self.factor)

    def select(self, index: Tensor, batch: int) -> AliasedNormal:
        """The operator itself: all samples share the filter."""
        return self


def aliased_normal(kernel: Tensor, shape: tuple[int, ...], factor: int) -> AliasedNormal:
    """``AᵀA`` of a filter ``(1, 1 or C, h, w)`` and decimation by ``factor`` of images of ``shape`` ``(C, H, W)``."""
    K = kernel_transform(kernel, shape)
    scale = torch.full((), 1 / factor**2, dtype=kernel.dtype, device=kernel.device)
    return AliasedNormal(K, scale, 0.0, kernel, shape, factor)


def aliased_or_none(physics: Downsampling) -> AliasedNormal | None:
    """``AᵀA`` of a physics that is a circular filter and decimation; ``None`` for other padding or sizes."""
    if physics.imsize is None:
        return None
    shape = cast(tuple[int, ...], tuple(physics.imsize))
    if not folds(physics, shape):
        return None
    return aliased_normal(cast(Tensor, physics.filter), shape, int(physics.factor))
