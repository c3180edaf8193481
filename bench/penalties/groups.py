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
        orientations: group the details of a place and scale, three of an image and seven of a volume.
        colours: group the colour channels.
    """

    orientations: bool = False
    colours: bool = False

    def copies(self, orientations: int) -> int:
        """How often ``magnitude`` repeats the norm of a group of details, of wavelets with so many orientations."""
        return orientations if self.orientations else 1

    def weights(self, channels: int, levels: int, orientations: int) -> tuple[int, int, int]:
        """Shape of the weights, by channel, scale and orientation: ``(C or 1, levels, n or 1)`` for n orientations."""
        return 1 if self.colours else channels, levels, 1 if self.orientations else orientations

    def members(self, channels: int, orientations: int) -> Tensor:
        """The group of each (channel, orientation) pair, channel first: int64 ``(C · orientations,)``."""
        colour = torch.zeros(channels, 1) if self.colours else torch.arange(channels)[:, None]
        orientation = torch.zeros(1, orientations) if self.orientations else torch.arange(orientations)[None]
        return (orientations * colour + orientation).flatten().long()

    def magnitude(self, c: Tensor, levels: int) -> Tensor:
        """The norm of the group of each coefficient ``(B, C, *sides)``; its gradient is finite at 0.

        The channel dimension becomes 1 for groups of colours. Approximations are never grouped by orientation.
        """
        if not (self.orientations or self.colours):
            return c.abs()
        squares = c.square()
        if self.colours:
            squares = squares.sum(1, keepdim=True)
        if self.orientations:
            axes = c.ndim - 2
            approximation, details = split(squares, levels, axes)
            squares = join(approximation, [d.sum(2, keepdim=True).expand_as(d) for d in details], axes)
        # √ has no slope at 0. With this bound, and not yet with the least number, 1/norm² is finite in float32 too.
        return squares.clamp_min(torch.finfo(c.dtype).tiny ** 0.5).sqrt()


class ExpandBands(nn.Module):
    """Expands one value per band to one value per coefficient, for ``Wavelets.bands``."""

    table: Tensor

    def __init__(self, bands: Tensor) -> None:
        super().__init__()
        # Bands are rectangles, so few rows differ, and few columns of those: copies of whole rows are fast.
        self.places: list[str] = []
        for axis in range(bands.ndim):
            bands, indices = bands.unique(dim=axis, return_inverse=True)
            self.places.append(f"places_{axis}")
            self.register_buffer(self.places[-1], indices, persistent=False)
        self.shape = bands.shape
        self.register_buffer("table", bands.flatten(), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """``(..., bands)``, numbered as ``Wavelets.bands``, to ``(..., H, W)`` or ``(..., D, H, W)``."""
        table = values.index_select(-1, self.table).unflatten(-1, self.shape)
        for axis in range(-1, -1 - len(self.shape), -1):
            table = table.index_select(axis, self.get_buffer(self.places[axis]))
        return table


def by_band(weights: Tensor, orientations: int) -> Tensor:
    """Weights ``(C, levels, n or 1)`` to ``(C, 1 + n levels)``, numbered as ``Wavelets.bands``; the first is 0.

    ``orientations`` is n.
    """
    return nn.functional.pad(weights.expand(-1, -1, orientations).flatten(1), (1, 0))


def split(c: Tensor, levels: int, axes: int) -> tuple[Tensor, list[Tensor]]:
    """Split Mallat's layout ``(B, C, *sides)`` into the approximation and the details of every scale from the finest.

    Details are ``(B, C, n, *sides)`` with the n orientations in the order of ``Wavelets.bands``. ``axes`` is the number
    of sides: 2 of images, 3 of volumes.
    """
    details = []
    for _ in range(levels):
        corners = [c]
        for axis in range(-axes, 0):
            halves = [corner.chunk(2, axis) for corner in corners]
            corners = [low for low, _ in halves] + [high for _, high in halves]
        c = corners[0]
        details.append(torch.stack(corners[1:], -1 - axes))
    return c, details


def join(approximation: Tensor, details: Sequence[Tensor], axes: int) -> Tensor:
    """The inverse of ``split``; writes nothing in place."""
    block = approximation
    for detail in reversed(details):
        corners = [block, *detail.unbind(-1 - axes)]
        for axis in range(-1, -1 - axes, -1):
            half = len(corners) // 2
            pairs = zip(corners[:half], corners[half:], strict=True)
            corners = [torch.cat(pair, axis) for pair in pairs]
        block = corners[0]
    return block


def portion(t: Tensor, rest: Tensor) -> Tensor:
    """``t/(t + rest)`` of positive numbers, with an accurate derivative also if t is much larger than rest.

    Autograd would sum ``1/(t + rest)`` and ``−t/(t + rest)²``, which nearly cancel there. A certificate allows a
    product with B a rounding error of units of ``‖B‖`` only.
    """
    total = t + rest
    return torch.where(t > rest, 1 - rest / total, t / total)
