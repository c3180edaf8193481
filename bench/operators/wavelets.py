"""Orthonormal wavelets on a finite image, in time and memory linear in its pixels."""

from __future__ import annotations

from typing import cast

import pywt
import torch
from torch import Tensor, nn

from ..errors import UserError
from ._axis import Axis
from .linear import linear

ORIENTATIONS = ("horizontal", "vertical", "diagonal")


class Wavelets(nn.Module):
    """A separable, orthonormal, multi-level wavelet transform of images of one size.

    Coefficients come in Mallat's layout: an image of the same size whose top-left block of
    ``H/2^levels × W/2^levels`` holds the approximation. The boundary is handled by ``ptwt``'s orthonormalised
    boundary filters (QR), so ``synthesise`` is both the inverse and the adjoint of ``analyse``, and a prox taken
    in coefficients is exact. A padded transform is a frame, and it would not be.

    Args:
        size: height and width; both divisible by ``2**levels`` and long enough for the filter.
        wavelet: an orthogonal wavelet of PyWavelets, by its name.
        levels: number of scales, at least 1.
        dtype, device: of the matrices.

    Attributes:
        bands: ``(H, W)`` of int64. 0 is the approximation; the detail of scale ``j`` (0 the finest) and
            orientation ``o`` is ``1 + 3 j + o``, orientations in the order of ``ORIENTATIONS``.

    Raises:
        UserError: the size does not admit the transform, or there is no such wavelet.
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
        self.levels = levels
        self.size = size
        bands = torch.zeros(size, dtype=torch.int64)
        # One axis for both where the image is square.
        lengths = sorted({side >> j for side in size for j in range(levels)})
        self.axes = nn.ModuleDict({str(n): Axis(wavelet, n, dtype, device) for n in lengths})
        for j in range(levels):
            h, w = self._sides(j + 1)
            bands[h : 2 * h, :w] = 1 + 3 * j
            bands[:h, w : 2 * w] = 2 + 3 * j
            bands[h : 2 * h, w : 2 * w] = 3 + 3 * j
        self.register_buffer("bands", bands.to(device))

    def analyse(self, x: Tensor) -> Tensor:
        """``W x``: images ``(..., H, W)`` to coefficients ``(..., H, W)``, norms kept."""
        return linear(x, self._analyse, self._synthesise)

    def synthesise(self, c: Tensor) -> Tensor:
        """``Wᵀ c = W⁻¹ c``: coefficients ``(..., H, W)`` to images ``(..., H, W)``."""
        return linear(c, self._synthesise, self._analyse)

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
        rows, columns = (cast(Axis, self.axes[str(side)]) for side in self._sides(level))
        return columns.columns(rows.rows(x, adjoint), adjoint)

    def _sides(self, level: int) -> tuple[int, int]:
        return self.size[0] >> level, self.size[1] >> level


def check_size(size: tuple[int, int], wavelet: str, levels: int) -> None:
    """Raise a ``UserError`` that says what to change unless ``size`` admits the transform."""
    try:
        found = pywt.Wavelet(wavelet)  # pyright: ignore[reportAttributeAccessIssue]
    except ValueError as error:
        raise UserError(f"unknown wavelet {wavelet!r}: give an orthogonal one, e.g. haar or db4") from error
    if not found.orthogonal:
        raise UserError(f"the wavelet {wavelet!r} is not orthogonal: give one that is, e.g. haar or db4")
    step = 2**levels
    least = max(step, found.dec_len * 2 ** (levels - 1))
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
