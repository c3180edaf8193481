"""Groups of wavelet coefficients: the same place and scale, across orientations, colours, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Groups:
    """Coefficients that share one Euclidean norm, as in the mixed norms ``Σ_g ω_g ‖c_g‖₂`` of arXiv 2506.13239.

    Attributes:
        orientations: group the three details of a place and scale.
        colours: group the colour channels.
    """

    orientations: bool = False
    colours: bool = False

    @property
    def copies(self) -> int:
        """How often ``magnitude`` repeats the norm of a group of details."""
        return 3 if self.orientations else 1

    def weights(self, channels: int, levels: int) -> tuple[int, int, int]:
        """Shape of the weights, by channel, scale and orientation: ``(C or 1, levels, 3 or 1)``."""
        return 1 if self.colours else channels, levels, 1 if self.orientations else 3

    def members(self, channels: int) -> Tensor:
        """The group of each (channel, orientation) pair, channel first: int64 ``(3C,)``."""
        colour = torch.zeros(channels, 1) if self.colours else torch.arange(channels)[:, None]
        orientation = torch.zeros(1, 3) if self.orientations else torch.arange(3)[None]
        return (3 * colour + orientation).flatten().long()

    def magnitude(self, c: Tensor, levels: int) -> Tensor:
        """The norm of the group of each coefficient ``(B, C, H, W)``; its gradient is finite at 0.

        The channel dimension becomes 1 for groups of colours. Approximations are never grouped by orientation.
        """
        if not (self.orientations or self.colours):
            return c.abs()
        squares = c.square()
        if self.colours:
            squares = squares.sum(1, keepdim=True)
        if self.orientations:
            approximation, details = split(squares, levels)
            squares = join(approximation, [d.sum(2, keepdim=True).expand_as(d) for d in details])
        # √ has no slope at 0. With this bound, and not yet with the least number, 1/norm² is finite in float32 too.
        return squares.clamp_min(torch.finfo(c.dtype).tiny ** 0.5).sqrt()


class ExpandBands(nn.Module):
    """Expands one value per band to one value per coefficient, for ``Wavelets.bands``."""

    table: Tensor
    rows: Tensor
    columns: Tensor

    def __init__(self, bands: Tensor) -> None:
        super().__init__()
        # Bands are rectangles, so few rows differ, and few columns of those: copies of whole rows are fast.
        distinct, rows = bands.unique(dim=0, return_inverse=True)
        table, columns = distinct.unique(dim=1, return_inverse=True)
        self.shape = table.shape
        for name, indices in (("table", table.flatten()), ("rows", rows), ("columns", columns)):
            self.register_buffer(name, indices, persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """``(..., 1 + 3 levels)``, numbered as ``Wavelets.bands``, to ``(..., H, W)``."""
        table = values.index_select(-1, self.table).unflatten(-1, self.shape)
        return table.index_select(-1, self.columns).index_select(-2, self.rows)


def by_band(weights: Tensor) -> Tensor:
    """Weights ``(C, levels, 3 or 1)`` to ``(C, 1 + 3 levels)``, numbered as ``Wavelets.bands``; the first is 0."""
    return nn.functional.pad(weights.expand(-1, -1, 3).flatten(1), (1, 0))


def split(c: Tensor, levels: int) -> tuple[Tensor, list[Tensor]]:
    """Split Mallat's layout ``(B, C, H, W)`` into the approximation and the details of every scale from the finest.

    Details are ``(B, C, 3, h, w)`` with orientations in the order of ``ORIENTATIONS``.
    """
    details = []
    for _ in range(levels):
        h, w = c.shape[-2] // 2, c.shape[-1] // 2
        details.append(torch.stack((c[..., h:, :w], c[..., :h, w:], c[..., h:, w:]), -3))
        c = c[..., :h, :w]
    return c, details


def join(approximation: Tensor, details: Sequence[Tensor]) -> Tensor:
    """The inverse of ``split``; writes nothing in place."""
    block = approximation
    for detail in reversed(details):
        horizontal, vertical, diagonal = detail.unbind(-3)
        block = torch.cat((torch.cat((block, vertical), -1), torch.cat((horizontal, diagonal), -1)), -2)
    return block


def portion(t: Tensor, rest: Tensor) -> Tensor:
    """``t/(t + rest)`` of positive numbers, with an accurate derivative also if t is much larger than rest.

    Autograd would sum ``1/(t + rest)`` and ``−t/(t + rest)²``, which nearly cancel there. A certificate allows a
    product with B a rounding error of units of ``‖B‖`` only.
    """
    total = t + rest
    return torch.where(t > rest, 1 - rest / total, t / total)
