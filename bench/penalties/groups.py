"""Groups of wavelet coefficients: the same place and scale, across orientations, colours, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Groups:
    """Which coefficients share one Euclidean norm; without either, every coefficient stands alone.

    The mixed norms ``Σ_g ω_g ‖c_g‖₂`` over orientations and colours of arXiv 2506.13239.

    Attributes:
        orientations: the three details of a place and scale belong together.
        colours: so do the colour channels.
    """

    orientations: bool = False
    colours: bool = False

    @property
    def copies(self) -> int:
        """How often ``magnitude`` holds the norm of one and the same group of details."""
        return 3 if self.orientations else 1

    def weights(self, channels: int, levels: int) -> tuple[int, int, int]:
        """One weight a kind of group, by channel, scale and orientation: ``(C or 1, levels, 3 or 1)``."""
        return 1 if self.colours else channels, levels, 1 if self.orientations else 3

    def members(self, channels: int) -> Tensor:
        """The group of each (channel, orientation) pair, channel first: int64 ``(3C,)``."""
        colour = torch.zeros(channels, 1) if self.colours else torch.arange(channels)[:, None]
        orientation = torch.zeros(1, 3) if self.orientations else torch.arange(3)[None]
        return (3 * colour + orientation).flatten().long()

    def magnitude(self, c: Tensor, levels: int) -> Tensor:
        """The norm of the group to which each coefficient belongs; the approximation is never grouped by orientation.

        Args:
            c: coefficients ``(B, C, H, W)`` in Mallat's layout, see ``Wavelets.bands``.
            levels: number of scales.

        Returns:
            ``(B, C, H, W)``, or ``(B, 1, H, W)`` over colours; its gradient is finite at 0 too.
        """
        if not (self.orientations or self.colours):
            return c.abs()
        squares = c.square()
        if self.colours:
            squares = squares.sum(1, keepdim=True)
        if self.orientations:
            approximation, details = split(squares, levels)
            squares = join(approximation, [d.sum(2, keepdim=True).expand_as(d) for d in details])
        # √ has no slope at 0. The bound keeps 1/size² finite in float32 as well, which the least number would not.
        return squares.clamp_min(torch.finfo(c.dtype).tiny ** 0.5).sqrt()


class ExpandBands(nn.Module):
    """A number a band, made a plane: each place has that of its band.

    Args:
        bands: of ``Wavelets``, ``(H, W)``.
    """

    table: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, bands: Tensor) -> None:
        super().__init__()
        # Bands are rectangles. Few rows differ, and few columns of those: whole rows are copied faster than places.
        kinds, rows = bands.unique(dim=0, return_inverse=True)
        table, columns = kinds.unique(dim=1, return_inverse=True)
        self.shape = table.shape
        for name, indices in (("table", table.flatten()), ("rows", rows), ("columns", columns)):
            self.register_buffer(name, indices, persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        """``(..., 1 + 3 levels)``, as ``Wavelets.bands`` counts, to ``(..., H, W)``."""
        kinds = numbers.index_select(-1, self.table).unflatten(-1, self.shape)
        return kinds.index_select(-1, self.columns).index_select(-2, self.rows)


def by_band(weights: Tensor) -> Tensor:
    """``(C, levels, 3 or 1)`` to ``(C, 1 + 3 levels)``, as ``Wavelets.bands`` counts: 0 for the approximation."""
    return nn.functional.pad(weights.expand(-1, -1, 3).flatten(1), (1, 0))


def split(c: Tensor, levels: int) -> tuple[Tensor, list[Tensor]]:
    """Mallat's layout ``(B, C, H, W)`` taken apart.

    Returns:
        The approximation ``(B, C, H/2^levels, W/2^levels)``, and the details of every scale, the finest first, each
        ``(B, C, 3, h, w)`` with orientations in the order of ``ORIENTATIONS``.
    """
    details = []
    for _ in range(levels):
        h, w = c.shape[-2] // 2, c.shape[-1] // 2
        details.append(torch.stack((c[..., h:, :w], c[..., :h, w:], c[..., h:, w:]), -3))
        c = c[..., :h, :w]
    return c, details


def join(approximation: Tensor, details: Sequence[Tensor]) -> Tensor:
    """The inverse of ``split``: from coarse to fine, and nothing is written in place."""
    block = approximation
    for detail in reversed(details):
        horizontal, vertical, diagonal = detail.unbind(-3)
        block = torch.cat((torch.cat((block, vertical), -1), torch.cat((horizontal, diagonal), -1)), -2)
    return block


def portion(t: Tensor, rest: Tensor) -> Tensor:
    """``t/(t + rest)`` of positive numbers, whose derivative loses no digits where t is much the larger.

    Autograd makes the derivative of the quotient from two parts, ``1/(t + rest)`` and ``−t/(t + rest)²``, that cancel
    there; a certificate allows a product with B to round off no more than units of ``‖B‖``.
    """
    whole = t + rest
    return torch.where(t > rest, 1 - rest / whole, t / whole)
