"""Slices of a body and pictures of tissue: images that a crop shows whole, resampled to its size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .formats import count_slices, format_of, read_slice
from .image_files import read_image

MOST = 8
"""Slices that are taken of a file, at equal distances in the middle half: its ends show little."""
TAIL = 0.01
"""Share of the brightness at each end of the rows and columns that a content may lose, so that a thin table is none."""
MARGIN = 0.04
"""Margin around the content, in its sides."""
LONGEST = 1.6
"""Longest side of a square over the shorter side of its image: a longer one would be mostly empty."""
SMALLEST = 0.6
"""Side of the smallest part that a further crop of a slice shows, over that of its content."""


@dataclass(frozen=True, slots=True)
class Slice:
    """An image of a file, shown whole by a crop.

    Attributes:
        file: of a format of ``formats``, or an image file.
        index: of the slice in the file, from 0.
    """

    file: Path
    index: int = 0

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.file.name

    def read(self, channels: int) -> Tensor:
        """The image ``(channels, H, W)`` float64 in [0, 1]. Raises ``UserError`` if it cannot be read."""
        if format_of(self.file) is None:
            return read_image(self.file, channels)
        return read_slice(self.file, self.index, channels)


def slices_of(file: Path) -> tuple[Slice, ...]:
    """The image of a file, or of several slices at most ``MOST`` in its middle half. Raises ``UserError``."""
    count = count_slices(file)
    first, end = count // 4, max(count - count // 4, 1)
    taken = torch.linspace(first, end - 1, min(MOST, end - first)).round().int().tolist()
    return tuple(Slice(file, int(index)) for index in dict.fromkeys(taken))


def whole(image: Tensor, size: int) -> Tensor:
    """The square around the content of an image, ``(C, H, W)`` to ``(C, size, size)``."""
    return _resampled(image, content(image), size)


def part(image: Tensor, size: int, rng: torch.Generator) -> Tensor:
    """A random square in the content of an image, of ``SMALLEST`` of its side or more, as ``(C, size, size)``."""
    top, left, side = content(image)
    share = SMALLEST + (1 - SMALLEST) * float(torch.rand((), generator=rng))
    smaller = max(1, round(share * side))
    down, right = (int(torch.randint(side - smaller + 1, (), generator=rng)) for _ in range(2))
    return _resampled(image, (top + down, left + right, smaller), size)


def content(image: Tensor) -> tuple[int, int, int]:
    """The square ``(top, left, side)`` around what differs from the background; it may reach beyond the image.

    The background is the median of the border. Of the sums of differences over rows and over columns, a share of
    ``TAIL`` at each end is left out; the rest and a margin is the content.
    """
    height, width = image.shape[-2:]
    different = (image - _background(image)).abs().sum(0)
    (low, high), (left, right) = _middle(different.sum(1)), _middle(different.sum(0))
    side = round((1 + 2 * MARGIN) * max(high - low, right - left))
    side = max(1, min(side, max(height, width), round(LONGEST * min(height, width))))
    centre = _weighted_centre(different, side, (low, high, left, right))
    return centre[0] - side // 2, centre[1] - side // 2, side


def _weighted_centre(different: Tensor, side: int, box: tuple[int, int, int, int]) -> tuple[int, int]:
    """The middle of the content; where the square cuts it, the middle of the brightness."""
    low, high, left, right = box
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in different.shape)
    total = float(different.sum())
    y, x = (low + high) // 2, (left + right) // 2
    if high - low > side and total > 0:
        y = round(float((different.sum(1) * rows).sum()) / total)
    if right - left > side and total > 0:
        x = round(float((different.sum(0) * columns).sum()) / total)
    return y, x


def _middle(sums: Tensor) -> tuple[int, int]:
    """First and last index, exclusive, of the middle of a distribution without its tails."""
    share = sums.cumsum(0) / sums.sum().clamp_min(torch.finfo(sums.dtype).tiny)
    low = int((share <= TAIL).sum())
    high = int((share < 1 - TAIL).sum()) + 1
    return (low, high) if high > low else (0, len(sums))


def _background(image: Tensor) -> Tensor:
    """The median of the border in each channel, ``(C, 1, 1)``."""
    border = torch.cat((image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]), 1)
    return border.median(1).values[:, None, None]


def _resampled(image: Tensor, square: tuple[int, int, int], size: int) -> Tensor:
    """A square of an image, with its background around it, resampled with the filter of a smaller scale."""
    top, left, side = square
    height, width = image.shape[-2:]
    padded = _background(image).expand(-1, side, side).clone()
    rows = slice(max(top, 0), min(top + side, height))
    columns = slice(max(left, 0), min(left + side, width))
    padded[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = image[
        :, rows, columns
    ]
    resampled = torch.nn.functional.interpolate(padded[None], (size, size), mode="bilinear", antialias=True)
    return resampled[0].clamp(0, 1)
