"""Orthonormal wavelets on a finite image, as matrices."""

from __future__ import annotations

import warnings

import pywt
import torch
from ptwt.matmul_transform import construct_boundary_a
from torch import Tensor, nn

from ..errors import UserError

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
        bands = torch.zeros(size, dtype=torch.int64)
        for j in range(levels):
            for axis, full in zip("rc", size, strict=True):
                self.register_buffer(f"{axis}{j}", _analysis(wavelet, full >> j).to(device, dtype))
            h, w = (s >> (j + 1) for s in size)
            bands[h : 2 * h, :w] = 1 + 3 * j
            bands[:h, w : 2 * w] = 2 + 3 * j
            bands[h : 2 * h, w : 2 * w] = 3 + 3 * j
        self.register_buffer("bands", bands.to(device))

    def _matrices(self, level: int) -> tuple[Tensor, Tensor]:
        return self.get_buffer(f"r{level}"), self.get_buffer(f"c{level}")

    def analyse(self, x: Tensor) -> Tensor:
        """``W x``: images ``(..., H, W)`` to coefficients ``(..., H, W)``, norms kept."""
        for level in range(self.levels):
            rows, columns = self._matrices(level)
            h, w = rows.shape[0], columns.shape[0]
            block = rows @ x[..., :h, :w] @ columns.T
            if level == 0:
                x = block
            else:  # x is the fresh product of the finest level, which nothing else holds
                x[..., :h, :w] = block
        return x

    def synthesise(self, c: Tensor) -> Tensor:
        """``Wᵀ c = W⁻¹ c``: coefficients ``(..., H, W)`` to images ``(..., H, W)``."""
        block = c
        for level in reversed(range(self.levels)):
            rows, columns = self._matrices(level)
            h, w = rows.shape[0], columns.shape[0]
            if level < self.levels - 1:
                inner, block = block, c[..., :h, :w].clone()
                block[..., : h // 2, : w // 2] = inner
            else:
                block = c[..., :h, :w]
            block = rows.T @ block @ columns
        return block


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


def _analysis(wavelet: str, length: int) -> Tensor:
    """The orthonormal 1-D analysis matrix of one level, dense ``(length, length)`` float64."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse")  # torch's, about ptwt's construction
        return construct_boundary_a(wavelet, length).to_dense()
