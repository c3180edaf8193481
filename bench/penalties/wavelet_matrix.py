"""One level of an orthonormal wavelet transform along one dimension: a banded matrix, applied in small blocks."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from ptwt.matmul_transform import construct_boundary_a
from torch import Tensor, nn

DENSE = 64
"""Up to this length one dense product is as fast as any other way (measured, both precisions, one thread)."""
HALF = 4
"""A tile has so many outputs in the low half and as many in the high one. Of 2, 4, 8 and 16, the fastest."""
NOISE = 1e-13
"""The orthonormalisation leaves entries of this size where zeros belong; the others are above 1e-4."""


class WaveletMatrix(nn.Module):
    """``M x`` and ``Mᵀ x`` along one dimension, M the orthonormal analysis matrix of one level (low half, high half).

    A row of M has as many entries as the filter, so that time and memory are linear in the length: the inputs that a
    tile of outputs needs are gathered, and multiplied by the block of M that belongs to them.

    Args:
        wavelet: an orthogonal wavelet of PyWavelets, by its name.
        length: n, even.
        dtype, device: of the matrices.

    Attributes:
        matrix: M itself, ``(n, n)``; only up to ``DENSE``.
        needed, blocks: what the tiles of M gather, and multiply by; only beyond ``DENSE``.
        adjoint_needed, adjoint_blocks: those of its adjoint.
    """

    matrix: Tensor
    needed: Tensor
    blocks: Tensor
    adjoint_needed: Tensor
    adjoint_blocks: Tensor

    def __init__(
        self, wavelet: str, length: int, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__()
        self.wavelet = wavelet
        self.length = length
        self.quality = matrix_accuracy(wavelet, length)
        self._fill(dtype, device)

    def _fill(self, dtype: torch.dtype, device: torch.device | str) -> None:
        M = analysis(self.wavelet, self.length)
        if self.length <= DENSE:
            self.register_buffer("matrix", M.to_dense().to(device, dtype))
            return
        for name, (needed, blocks) in (("", _tiles(M)), ("adjoint_", _tiles(M.t().coalesce(), whole=True))):
            self.register_buffer(f"{name}needed", needed.to(device))
            self.register_buffer(f"{name}blocks", blocks.to(device, dtype))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Also what ``to(dtype)`` does: the matrix of another dtype is made anew, not cast from a rounded one."""
        before = self._values().dtype
        super()._apply(fn, recurse)
        now = self._values()
        if now.dtype != before:
            self._fill(now.dtype, now.device)
        return self

    def intact(self) -> bool:
        """Whether the matrices are those of the wavelet, rounded to their dtype, and nobody learns them."""
        own = self._values()
        fresh = _made(self.wavelet, self.length, own.dtype, str(own.device))._values()
        return not own.requires_grad and torch.equal(own, fresh)

    def _values(self) -> Tensor:
        return self.matrix if self.length <= DENSE else self.blocks

    def rows(self, x: Tensor, adjoint: bool) -> Tensor:
        """``M x`` (or ``Mᵀ x``) along dimension 1 of ``(N, n, W)``; contiguous and fresh."""
        if self.length <= DENSE:
            return (self.matrix.mT if adjoint else self.matrix) @ x
        needed, blocks = (self.adjoint_needed, self.adjoint_blocks) if adjoint else (self.needed, self.blocks)
        N, n, W = x.shape
        tiles, outputs, inputs = blocks.shape
        windows = x.index_select(1, needed).view(N * tiles, inputs, W)
        found = torch.bmm(blocks.repeat(N, 1, 1) if N > 1 else blocks, windows)
        if adjoint:
            return found.view(N, tiles * outputs, W)[:, :n].contiguous()
        halves = found.view(N, tiles, 2, outputs // 2, W).transpose(1, 2).reshape(N, 2, -1, W)
        return halves[:, :, : n // 2].reshape(N, n, W)

    def columns(self, x: Tensor, adjoint: bool) -> Tensor:
        """The same along dimension 2 of ``(N, H, n)``."""
        if self.length <= DENSE:
            return x @ (self.matrix if adjoint else self.matrix.mT)
        # All images side by side: torch transposes matrices fast, and nothing else.
        turned = x.reshape(-1, self.length).t().contiguous()
        return self.rows(turned[None], adjoint)[0].t().contiguous().view(x.shape)


@functools.lru_cache(maxsize=32)
def analysis(wavelet: str, length: int) -> Tensor:
    """The orthonormal 1-D analysis matrix of one level, sparse ``(length, length)`` float64, without rounding noise."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse")  # torch's, about ptwt's construction
        M = construct_boundary_a(wavelet, length).coalesce()
    kept = M.values().abs() > NOISE
    return torch.sparse_coo_tensor(M.indices()[:, kept], M.values()[kept], M.shape).coalesce()


@functools.lru_cache(maxsize=64)
def _made(wavelet: str, length: int, dtype: torch.dtype, device: str) -> WaveletMatrix:
    return WaveletMatrix(wavelet, length, dtype, device)


@dataclass(frozen=True, slots=True)
class MatrixAccuracy:
    """How orthonormal a matrix M is, and how much its products round off.

    Attributes:
        defect: a bound on ``‖MᵀM − I‖``, measured.
        rounding: one on ``‖fl(Mx) − Mx‖ / ‖x‖`` and that of Mᵀ, in units of the rounding of the dtype: a sum of k
            products, of rounded entries, is off by (k + 1) units of the sum of magnitudes at most.
    """

    defect: float
    rounding: float


@functools.lru_cache(maxsize=256)
def matrix_accuracy(wavelet: str, length: int) -> MatrixAccuracy:
    """Of ``analysis``, by norms that are cheap and never too small: ``‖A‖² ≤ ‖A‖₁ ‖A‖_∞``."""
    M = analysis(wavelet, length).to_dense()
    gap, entries, size = M @ M.mT - torch.eye(length, dtype=M.dtype), M != 0, M.abs()
    most = max(int(entries.sum(0).max()), int(entries.sum(1).max()))
    spread = float(size.sum(0).max() * size.sum(1).max()) ** 0.5
    return MatrixAccuracy(float(gap.abs().sum(1).max()), (most + 1) * spread)


def _tiles(M: Tensor, whole: bool = False) -> tuple[Tensor, Tensor]:
    """M cut into tiles of ``2·HALF`` rows: neighbours if ``whole``, otherwise ``HALF`` of each half of the rows.

    Returns:
        The columns that each tile needs, int64 ``(tiles · inputs,)``, and the blocks ``(tiles, outputs, inputs)``.
    """
    n = M.shape[0]
    (row, column), values = M.indices(), M.values()
    if whole:
        tile, output = row // (2 * HALF), row % (2 * HALF)
    else:
        high, place = row // (n // 2), row % (n // 2)
        tile, output = place // HALF, HALF * high + place % HALF
    tiles = int(tile.max()) + 1
    pairs, which = torch.unique(tile * n + column, return_inverse=True)
    owner = pairs // n
    counts = torch.bincount(owner, minlength=tiles)
    rank = torch.arange(len(pairs)) - (counts.cumsum(0) - counts)[owner]
    needed = torch.zeros(tiles, int(counts.max()), dtype=torch.int64)
    needed[owner, rank] = pairs % n
    blocks = torch.zeros(tiles, 2 * HALF, needed.shape[1], dtype=M.dtype)
    blocks[tile, output, rank[which]] = values
    return needed.flatten(), blocks
