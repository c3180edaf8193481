"""Orthonormal wavelets on a finite image or volume, in time and memory linear in its pixels."""

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
"""Those of images. Volumes have seven, see ``Wavelets.bands``."""
DEFECT = 1e-10
"""Largest ``‖MᵀM − I‖`` of an orthonormal level. The filter of dmey is cut off: its defect is 7e-3."""


class Wavelets(nn.Module):
    """A separable, orthonormal, multi-level wavelet transform of images or volumes of one size, in
    Mallat's layout.

    Filters are periodic, so ``synthesise`` is both the inverse and the adjoint of ``analyse``, and a prox taken in
    coefficients is exact. For a padded transform, a frame, it would not be.

    Args:
        size: height and width, or depth, height and width; ``UserError`` unless divisible by ``2**levels`` and long
            enough for the filter.
        wavelet: name of an orthogonal wavelet of PyWavelets; ``UserError`` for others.
        levels: number of scales, at least 1.
        dtype, device: of the matrices.

    Attributes:
        bands: ``(H, W)`` or ``(D, H, W)`` of int64. 0 is the approximation; the detail of scale ``j`` (0 the finest)
            and orientation ``o`` is ``1 + n j + o`` for n orientations, 3 of images and 7 of volumes. The binary
            digits of ``o + 1`` say along which axes it is of high frequency, the last digit for the first axis; for
            images that is the order of ``ORIENTATIONS``.
    """

    bands: Tensor

    def __init__(
        self,
        size: tuple[int, ...],
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
        self.size = tuple(int(side) for side in size)
        bands = torch.zeros(size, dtype=torch.int64)
        # Equal sides share one matrix a level.
        lengths = sorted({side >> j for side in size for j in range(levels)})
        self.axes = nn.ModuleDict({str(n): WaveletMatrix(wavelet, n, dtype, device) for n in lengths})
        defect = max(axis.defect for axis in self._axes())
        if not defect <= DEFECT:
            raise UserError(
                f"the wavelet {wavelet!r} is not orthonormal here (off by {defect:.0e}), so that its prox would not be "
                f"one: give haar, db2 to db38, sym2 to sym20, or coif1 to coif17"
            )
        for j in range(levels):
            sides = self._sides(j + 1)
            for o in range(self.orientations):
                high = [(o + 1) >> axis & 1 for axis in range(len(sides))]
                corner = [slice(side * h, side * (h + 1)) for side, h in zip(sides, high, strict=True)]
                bands[tuple(corner)] = 1 + self.orientations * j + o
        self.register_buffer("bands", bands.to(device))

    @property
    def orientations(self) -> int:
        """Details at each place and scale: 3 of images, 7 of volumes."""
        return 2 ** len(self.size) - 1

    def analyse(self, x: Tensor) -> Tensor:
        """``W x``: images ``(..., H, W)``, or volumes, to coefficients of the same shape and norm."""
        self._check(x)
        return linear(x, self._analyse, self._synthesise)

    def synthesise(self, c: Tensor) -> Tensor:
        """``Wᵀ c = W⁻¹ c``: coefficients to images or volumes."""
        self._check(c)
        return linear(c, self._synthesise, self._analyse)

    @property
    def defect(self) -> float:
        """A bound on ``‖WᵀW − I‖`` for the matrices as they are, in exact arithmetic."""
        levels = (self._matrices(level) for level in range(self.levels))
        return math.prod(1 + axis.defect for axes in levels for axis in axes) - 1

    @property
    def rounding(self) -> float:
        """A bound on ``‖fl(Wx) − Wx‖ / ‖x‖``, and the same for Wᵀ, in units of the rounding of the dtype."""
        levels = (self._matrices(level) for level in range(self.levels))
        return sum(axis.rounding for axes in levels for axis in axes)

    def intact(self) -> bool:
        """Whether the matrices are those of the wavelet."""
        return all(axis.intact() for axis in self._axes())

    def in_float64(self) -> Wavelets:
        """The same transform in float64."""
        return _in_float64(self.size, self.wavelet, self.levels, str(self.bands.device))

    def _check(self, x: Tensor) -> None:
        if x.shape[-len(self.size) :] != self.size:
            raise UserError(
                f"images or coefficients of {tuple(x.shape)} do not fit wavelets of {times(self.size)}: "
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
            corner = self._corner(level)
            c[corner] = self._level(c[corner], level, adjoint=False)
        return c.view(x.shape)

    def _synthesise(self, c: Tensor) -> Tensor:
        x = c.reshape(-1, *self.size)
        if self.levels > 1:
            x = x.clone()
        for level in reversed(range(1, self.levels)):
            corner = self._corner(level)
            x[corner] = self._level(x[corner], level, adjoint=True)
        return self._level(x, 0, adjoint=True).view(c.shape)

    def _level(self, x: Tensor, level: int, adjoint: bool) -> Tensor:
        *matrices, last = self._matrices(level)
        shape = x.shape
        for axis, matrix in enumerate(matrices):
            before = math.prod(shape[: axis + 1])
            x = matrix.rows(x.reshape(before, matrix.length, -1), adjoint)
        return last.columns(x.reshape(-1, *shape[-2:]), adjoint).view(shape)

    def _matrices(self, level: int) -> list[WaveletMatrix]:
        return [cast(WaveletMatrix, self.axes[str(side)]) for side in self._sides(level)]

    def _corner(self, level: int) -> tuple[slice, ...]:
        """Of a batch: what the level transforms."""
        return slice(None), *(slice(side) for side in self._sides(level))

    def _axes(self) -> list[WaveletMatrix]:
        return [cast(WaveletMatrix, axis) for axis in self.axes.values()]

    def _sides(self, level: int) -> tuple[int, ...]:
        return tuple(side >> level for side in self.size)


@functools.lru_cache(maxsize=16)
def _in_float64(size: tuple[int, ...], wavelet: str, levels: int, device: str) -> Wavelets:
    return Wavelets(size, wavelet, levels, dtype=torch.float64, device=device)


def times(size: tuple[int, ...]) -> str:
    """``12×16`` for ``(12, 16)``."""
    return "×".join(str(side) for side in size)


def check_size(size: tuple[int, ...], wavelet: str, levels: int) -> None:
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
                f"images of {times(size)} are too small for {levels} levels of {wavelet}: "
                f"a side needs at least {least} pixels"
            )
        if side % step:
            raise UserError(
                f"images of {times(size)} do not divide into {levels} levels: "
                f"make {'both' if len(size) == 2 else 'all'} sides multiples of {step}, e.g. {side - side % step}"
            )
