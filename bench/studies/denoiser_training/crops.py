"""Random crops of photographs, flipped and rotated; in a colour run, grey ones are tinted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...tasks.images import SUFFIXES, read_image
from ...utils.errors import UserError

COLOUR_SHARE = 0.6
"""Fraction of crops from colour photographs in a colour run with grey photographs."""


@dataclass(frozen=True, slots=True)
class Photographs:
    """Training images, float32 in [0, 1].

    Attributes:
        native: ``(C, H, W)``, with the number of channels of the network.
        grey: ``(1, H, W)``, the grey photographs of a colour run.
    """

    native: list[Tensor]
    grey: list[Tensor]


def image_files(folder: Path) -> list[Path]:
    """The images of a folder, sorted. Raises ``UserError`` if there is no such folder, or no image in it."""
    if not folder.is_dir():
        raise UserError(f"no folder {str(folder)!r}: give --images a folder of images")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f"no image in {str(folder)!r}: put {', '.join(sorted(SUFFIXES))} there")
    return files


def read_folders(folders: list[Path], channels: int, least: int) -> Photographs:
    """The images of ``folders``.

    Args:
        folders: at least one.
        channels: 1 or 3.
        least: smallest allowed side of an image.

    Raises:
        UserError: there is no such folder, an image is unreadable or too small, or all are grey in a colour run.
    """
    photographs = Photographs([], [])
    for file in (file for folder in folders for file in image_files(folder)):
        image = read_image(file, channels).float()
        if min(image.shape[1:]) < least:
            size = f"{image.shape[2]}×{image.shape[1]}"
            raise UserError(f"{file.name} is {size}, smaller than the crops of {least}×{least}: remove it")
        if channels == 3 and bool((image == image[:1]).all()):
            photographs.grey.append(image[:1])
        else:
            photographs.native.append(image)
    if not photographs.native:
        raise UserError(f"no colour image in {', '.join(map(str, folders))}")
    return photographs


def sample(photographs: Photographs, size: int, count: int, rng: torch.Generator) -> Tensor:
    """``count`` random crops, from each image with a probability proportional to its area.

    Returns:
        ``(count, C, size, size)`` float32 in [0, 1].
    """
    areas = [
        torch.tensor([float(image[0].numel()) for image in images])
        for images in (photographs.native, photographs.grey)
    ]
    crops: list[Tensor] = []
    for _ in range(count):
        tinted = bool(photographs.grey) and float(torch.rand((), generator=rng)) > COLOUR_SHARE
        images = photographs.grey if tinted else photographs.native
        image = images[int(torch.multinomial(areas[tinted], 1, generator=rng))]
        top, left = (_pick(side - size + 1, rng) for side in image.shape[1:])
        crop = image[:, top : top + size, left : left + size]
        if tinted:
            crop = _tint(crop, rng)
        elif crop.shape[0] == 3:
            crop = crop[torch.randperm(3, generator=rng)]
        crop = torch.rot90(crop, _pick(4, rng), (1, 2))
        crops.append(crop.flip(2) if _pick(2, rng) else crop)
    return torch.stack(crops)


def _tint(grey: Tensor, rng: torch.Generator) -> Tensor:
    """An RGB image of a grey one, with a random gamma and range for each channel."""
    gain, gamma = 0.6 + 0.4 * torch.rand(2, 3, 1, 1, generator=rng)
    return (1 - gain) * torch.rand(3, 1, 1, generator=rng) + gain * grey ** (2 * gamma - 0.6)


def _pick(count: int, rng: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=rng))
