"""Image files as tensors: upright, in grey or sRGB, with limits against decompression bombs."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, PngImagePlugin
from torch import Tensor

from ..utils.errors import UserError

MAX_PIXELS = 64_000_000
"""A larger image counts as a mistake or a decompression bomb."""
MAX_TEXT = 64_000_000
"""Bytes of text and profiles in a PNG, which are not used; Pillow's own limit is a megabyte."""
DEPTHS_32 = ("I", "F")
"""Pillow's modes of whole numbers and floats of 32 bits, whose white value is unknown."""


@contextmanager
def open_image(file: Path) -> Generator[Image.Image]:
    """Open the first image of a file, undecoded. Raises ``UserError`` for a broken or too large one, also on use."""
    limits = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    try:
        PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT
        with warnings.catch_warnings(action="ignore"), Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(
                    f"{file.name} has {image.width}×{image.height} pixels, more than {MAX_PIXELS:,}"
                )
            yield image
    except UserError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{file.name} is too large: at most {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, …
        raise UserError(f"cannot read the image {file.name}: remove or replace it") from error
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = limits


def read_image(file: Path, channels: int) -> Tensor:
    """Read an image as viewers show it: rotated by its EXIF data, and transparent pixels on white.

    Args:
        file: of any format that Pillow reads, with 8 or 16 bits a channel; ``UserError`` for others.
        channels: 1 for grey, by luminance; 3 for colour.

    Returns:
        ``(channels, H, W)`` float64 in [0, 1].
    """
    with open_image(file) as image:
        if image.mode in DEPTHS_32:
            raise UserError(f"{file.name} has no 8 or 16 bits a channel: convert it, e.g. to PNG")
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            grey = torch.from_numpy(np.array(upright).astype(np.float64)) / 65535
            return grey.expand(channels, *grey.shape).contiguous()
        pixels = np.array(_opaque(upright).convert("L" if channels == 1 else "RGB"))
    tensor = torch.from_numpy(pixels).double() / 255
    return tensor[None] if channels == 1 else tensor.permute(2, 0, 1).contiguous()


def _opaque(image: Image.Image) -> Image.Image:
    """The image on white, in a mode that Pillow converts to grey and to RGB."""
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None  # only changes in place return None
        return converted
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image
