"""Orthonormal wavelets on a finite image, in time and memory linear in its pixels."""

from __future__ import annotations

import functools
import math
from typing import cast

import pywt
import torch
from torch import Tensor, nn

from ..operators.linear_autograd import linear, tracked
from ..utils.errors import UserError
from .wavelet_matrix import WaveletMatrix

ORIENTATIONS = ("horizontal", "vertical", "diagonal")
DEFECT = 1e-10
"""Largest ``‖MᵀM − I‖`` of an orthonormal level. Filters of long wavelets are known to fewer digits: the defect of
dmey is 5e-3, that of db38 5e-4."""


class Wavelets(nn.Module):
    """A separable, orthonormal, multi-level wavelet transform of images of one size, in Mallat's layout.

    ``ptwt``'s boundary filters are orthonormalised (QR), so ``synthesise`` is both the inverse and the adjoint of
    ``analyse``, and a prox taken in coefficients is exact. For a padded transform, a frame, it would not be.

    Args:
        size: height and width; ``UserError`` unless divisible by ``2**levels`` and long enough for the filter.
        wavelet: name of an orthogonal wavelet of PyWavelets; ``UserError`` for others.
        levels: number of scales, at least 1.
        dtype, device: of the matrices.

    Attributes:
        bands: ``(H, W)`` of int64. 0 is the approximation; the detail of scale ``j`` (0 the finest) and
            orientation ``o`` is ``1 + 3 j + o``, orientations in the order of ``ORIENTATIONS``.
    """

    bands: Tensor

    def __init__(
        self,
        size: tuple[int, int],
        wavelet: str = "db4",
        levels: int = 3,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        check_size(size, wavelet, levels)
        self.wavelet = wavelet
        self.levels = levels
        self.size = (int(size[0]), int(size[1]))
        bands = torch.zeros(size, dtype=torch.int64)
        # A square image has one matrix a level for both dimensions.
        lengths = sorted({side >> j for side in size for j in range(levels)})
        self.axes = nn.ModuleDict({str(n): WaveletMatrix(wavelet, n, dtype, device) for n in lengths})
        defect = max(axis.defect for axis in self._axes())
        if not defect <= DEFECT:
            raise UserError(
                f"the wavelet {wavelet!r} is not orthonormal here (off by {defect:.0e}), so that its prox would not be "
                f"one: give haar, db2 to db16, sym2 to sym16, or coif1 to coif10"
            )
        for j in range(levels):
            h, w = self._sides(j + 1)
            bands[h : 2 * h, :w] = 1 + 3 * j
            bands[:h, w : 2 * w] = 2 + 3 * j
            bands[h : 2 * h, w : 2 * w] = 3 + 3 * j
        self.register_buffer("bands", bands.to(device))

    def analyse(self, x: Tensor) -> Tensor:
        """``W x``: images ``(..., H, W)`` to coefficients ``(..., H, W)`` of the same norm."""
        self._check(x)
        return linear(x, self._analyse, self._synthesise)

    def synthesise(self, c: Tensor) -> Tensor:
        """``Wᵀ c = W⁻¹ c``: coefficients ``(..., H, W)`` to images ``(..., H, W)``."""
        self._check(c)
        return linear(c, self._synthesise, self._analyse)

    @property
    def defect(self) -> float:
        """A bound on ``‖WᵀW − I‖`` for the matrices as they are, in exact arithmetic."""
        levels = (self._pair(level) for level in range(self.levels))
        return math.prod((1 + a.defect) * (1 + b.defect) for a, b in levels) - 1

    @property
    def rounding(self) -> float:
        """A bound on ``‖fl(Wx) − Wx‖ / ‖x‖``, and the same for Wᵀ, in units of the rounding of the dtype."""
        pairs = [self._pair(level) for level in range(self.levels)]
        return sum(a.rounding + b.rounding for a, b in pairs)

    def intact(self) -> bool:
        """Whether the matrices are those of the wavelet."""
        return all(axis.intact() for axis in self._axes())

    def in_float64(self) -> Wavelets:
        """The same transform in float64."""
        return _in_float64(self.size, self.wavelet, self.levels, str(self.bands.device))

    def _check(self, x: Tensor) -> None:
        if x.shape[-2:] != self.size or x.ndim < 2:
            raise UserError(
                f"images or coefficients of {tuple(x.shape)} do not fit wavelets of {self.size[0]}×{self.size[1]}: "
                f"build the penalty for the shape (C, H, W) of the images"
            )
        if x.is_complex():
            raise UserError(
                "these wavelets are of real images: give the real and imaginary parts as two channels"
            )
        if tracked(*self.buffers()):
            raise UserError(
                "the matrices of the wavelets require a gradient, and are not learned: a prox needs them orthonormal; "
                "learn log_weights"
            )

    def _analyse(self, x: Tensor) -> Tensor:
        c = self._level(x.reshape(-1, *self.size), 0, adjoint=False)
        for level in range(1, self.levels):
            h, w = self._sides(level)
            c[:, :h, :w] = self._level(c[:, :h, :w], level, adjoint=False)
        return c.view(x.shape)

    def _synthesise(self, c: Tensor) -> Tensor:
        x = c.reshape(-1, *self.size)
        if self.levels > 1:
            x = x.clone()
        for level in reversed(range(1, self.levels)):
            h, w = self._sides(level)
            x[:, :h, :w] = self._level(x[:, :h, :w], level, adjoint=True)
        return self._level(x, 0, adjoint=True).view(c.shape)

    def _level(self, x: Tensor, level: int, adjoint: bool) -> Tensor:
        rows, columns = self._pair(level)
        return columns.columns(rows.rows(x, adjoint), adjoint)

    def _pair(self, level: int) -> tuple[WaveletMatrix, WaveletMatrix]:
        h, w = self._sides(level)
        return cast(WaveletMatrix, self.axes[str(h)]), cast(WaveletMatrix, self.axes[str(w)])

    def _axes(self) -> list[WaveletMatrix]:
        return [cast(WaveletMatrix, axis) for axis in self.axes.values()]

    def _sides(self, level: int) -> tuple[int, int]:
        return self.size[0] >> level, self.size[1] >> level


@functools.lru_cache(maxsize=16)
def _in_float64(size: tuple[int, int], wavelet: str, levels: int, device: str) -> Wavelets:
    return Wavelets(size, wavelet, levels, dtype=torch.float64, device=device)


def check_size(size: tuple[int, int], wavelet: str, levels: int) -> None:
    """Raise a ``UserError`` that says what to change if images of ``size`` do not admit the transform."""
    try:
        filters = pywt.Wavelet(wavelet)  # pyright: ignore[reportAttributeAccessIssue]
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"unknown wavelet {wavelet!r}: give an orthogonal one, e.g. haar or db4") from error
    if not filters.orthogonal:
        raise UserError(f"the wavelet {wavelet!r} is not orthogonal: give one that is, e.g. haar or db4")
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:  # pyright: ignore
        raise UserError(f"levels must be a whole number of at least 1, not {levels!r}")
    step = 2**levels
    least = max(step, filters.dec_len * 2 ** (levels - 1))
    for side in size:
        if side < least:
            raise UserError(
                f"images of {size[0]}×{size[1]} are too small for {levels} levels of {wavelet}: "
                f"a side needs at least {least} pixels"
            )
        if side % step:
            raise UserError(
                f"images of {size[0]}×{size[1]} do not divide into {levels} levels: "
                f"make both sides multiples of {step}, e.g. {side - side % step}"
            )
