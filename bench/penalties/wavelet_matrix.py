"""One level of an orthonormal wavelet transform along one dimension: a banded matrix, applied in small blocks."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Self

import pywt
import torch
from torch import Tensor, nn

DENSE = 64
"""Largest length for which one dense product is as fast as tiles (measured in both precisions on one thread)."""
HALF = 4
"""Outputs of a tile in the low half, and as many in the high half. 4 was the fastest of 2, 4, 8 and 16."""


class WaveletMatrix(nn.Module):
    """``M x`` and ``Mᵀ x`` along one dimension, with M the orthonormal analysis matrix of one level, low half first.

    A row of M has as many entries as the filter, so time and memory can be linear in the length n: each tile of outputs
    gathers the inputs that it needs, and multiplies them by its block of M. All tiles are one gather and one batched
    product.

    Attributes:
        defect: a bound on ``‖MᵀM − I‖``, measured.
        rounding: a bound on ``‖fl(Mx) − Mx‖ / ‖x‖``, and the same for Mᵀ, in units of the rounding of the dtype.
        matrix: M itself, ``(n, n)``; only up to ``DENSE``.
        needed, blocks: the inputs and blocks of the tiles of M; only beyond ``DENSE``.
        adjoint_needed, adjoint_blocks: the same for Mᵀ.
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
        self.defect, self.rounding = _accuracy(wavelet, length)
        self._fill(dtype, device)

    def _fill(self, dtype: torch.dtype, device: torch.device | str) -> None:
        M = analysis(self.wavelet, self.length)
        if self.length <= DENSE:
            self.register_buffer("matrix", M.to_dense().to(device, dtype))
            return
        for name, (needed, blocks) in (("", _tiles(M)), ("adjoint_", _tiles(M.t().coalesce(), adjoint=True))):
            self.register_buffer(f"{name}needed", needed.to(device))
            self.register_buffer(f"{name}blocks", blocks.to(device, dtype))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Called by ``to(dtype)`` too: recompute the matrices then, since a cast would keep the old rounding."""
        before = self._values().dtype
        super()._apply(fn, recurse)
        values = self._values()
        if values.dtype != before:
            self._fill(values.dtype, values.device)
        return self

    def intact(self) -> bool:
        """Whether the matrices are those of the wavelet, rounded to their dtype, and require no gradient."""
        values = self._values()
        original = _cached(self.wavelet, self.length, values.dtype, str(values.device))._values()
        return not values.requires_grad and torch.equal(values, original)

    def _values(self) -> Tensor:
        return self.matrix if self.length <= DENSE else self.blocks

    def rows(self, x: Tensor, adjoint: bool) -> Tensor:
        """``M x`` (or ``Mᵀ x``) along dimension 1 of ``(N, n, W)``; contiguous, and no view of ``x``."""
        if self.length <= DENSE:
            return (self.matrix.mT if adjoint else self.matrix) @ x
        needed, blocks = (self.adjoint_needed, self.adjoint_blocks) if adjoint else (self.needed, self.blocks)
        N, n, W = x.shape
        tiles, outputs, inputs = blocks.shape
        windows = x.index_select(1, needed).view(N * tiles, inputs, W)
        products = torch.bmm(blocks.repeat(N, 1, 1) if N > 1 else blocks, windows)
        # The last tile is padded where n is no multiple of the outputs of a tile.
        if adjoint:
            return products.view(N, tiles * outputs, W)[:, :n].contiguous()
        halves = products.view(N, tiles, 2, outputs // 2, W).transpose(1, 2).reshape(N, 2, -1, W)
        return halves[:, :, : n // 2].reshape(N, n, W)

    def columns(self, x: Tensor, adjoint: bool) -> Tensor:
        """The same along dimension 2 of ``(N, H, n)``."""
        if self.length <= DENSE:
            return x @ (self.matrix if adjoint else self.matrix.mT)
        # Transpose all images as one matrix: torch is fast at that, and slow at other permutations.
        transposed = x.reshape(-1, self.length).t().contiguous()
        return self.rows(transposed[None], adjoint)[0].t().contiguous().view(x.shape)


@functools.lru_cache(maxsize=32)
def analysis(wavelet: str, length: int) -> Tensor:
    """The orthonormal 1-D analysis matrix of one level, periodic, sparse ``(length, length)`` float64.

    It is PyWavelets' mode ``periodization``: filters that leave at one end enter at the other, so that constants have
    no details anywhere. Filters that are orthonormalised at the ends would have many there.
    """
    filters = pywt.Wavelet(wavelet)  # pyright: ignore[reportAttributeAccessIssue]
    taps = torch.tensor([filters.dec_lo, filters.dec_hi], dtype=torch.float64)
    size = taps.shape[1]
    place, tap = torch.arange(length // 2)[:, None], torch.arange(size)
    columns = (2 * place + size // 2 - tap) % length
    rows = torch.arange(length).view(2, -1, 1).expand(2, -1, size)
    indices = torch.stack((rows.flatten(), columns.repeat(2, 1).flatten()))
    values = taps[:, None].expand(2, length // 2, size).flatten()
    return torch.sparse_coo_tensor(indices, values, (length, length), check_invariants=True).coalesce()


@functools.lru_cache(maxsize=64)
def _cached(wavelet: str, length: int, dtype: torch.dtype, device: str) -> WaveletMatrix:
    return WaveletMatrix(wavelet, length, dtype, device)


@functools.lru_cache(maxsize=256)
def _accuracy(wavelet: str, length: int) -> tuple[float, float]:
    """``defect`` and ``rounding`` of the matrix M, by a cheap upper bound on norms: ``‖A‖² ≤ ‖A‖₁ ‖A‖_∞``."""
    M = analysis(wavelet, length).to_dense()
    gap, entries, size = M @ M.mT - torch.eye(length, dtype=M.dtype), M != 0, M.abs()
    most = max(int(entries.sum(0).max()), int(entries.sum(1).max()))
    norm = float(size.sum(0).max() * size.sum(1).max()) ** 0.5
    # A sum of k products of rounded entries has an error of at most (k + 1) units of the sum of magnitudes.
    return float(gap.abs().sum(1).max()), (most + 1) * norm


def _tiles(M: Tensor, adjoint: bool = False) -> tuple[Tensor, Tensor]:
    """Cut a sparse matrix into tiles of ``2·HALF`` rows.

    Nearby outputs need nearby inputs. For M, these are ``HALF`` rows at one place of the low half and ``HALF`` at the
    same place of the high half; for its adjoint, ``2·HALF`` successive rows.

    Returns:
        The columns that each tile needs, int64 ``(tiles · inputs,)``, and the blocks ``(tiles, outputs, inputs)``.
    """
    n = M.shape[0]
    (row, column), values = M.indices(), M.values()
    if adjoint:
        tile, output = row // (2 * HALF), row % (2 * HALF)
    else:
        high, place = row // (n // 2), row % (n // 2)
        tile, output = place // HALF, HALF * high + place % HALF
    tiles = int(tile.max()) + 1
    pairs, pair = torch.unique(tile * n + column, return_inverse=True)
    owner = pairs // n
    counts = torch.bincount(owner, minlength=tiles)
    rank = torch.arange(len(pairs)) - (counts.cumsum(0) - counts)[owner]
    needed = torch.zeros(tiles, int(counts.max()), dtype=torch.int64)
    needed[owner, rank] = pairs % n
    blocks = torch.zeros(tiles, 2 * HALF, needed.shape[1], dtype=M.dtype)
    blocks[tile, output, rank[pair]] = values
    return needed.flatten(), blocks
