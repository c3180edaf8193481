"""Image files as tensors: decoded with care, upright, in grey or in the colours of sRGB."""

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

LARGEST = 64_000_000
"""Pixels; anything larger is taken for a mistake (or a decompression bomb)."""
TEXT = 64_000_000
"""Bytes of text and profiles in a PNG, which nobody looks at here; Pillow reads no image with more than a megabyte."""
DEPTHS = ("I", "F")
"""Pillow's modes of whole numbers and floats of 32 bits, whose white nobody knows."""


@contextmanager
def opened(file: Path) -> Generator[Image.Image]:
    """The image, decoded only when asked for; of several in a file the first.

    Raises:
        UserError: it is broken or absurdly large.
    """
    limits = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    try:
        PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = TEXT
        with warnings.catch_warnings(action="ignore"), Image.open(file) as image:
            if image.width * image.height > LARGEST:
                raise UserError(f"{file.name} has {image.width}×{image.height} pixels, more than {LARGEST:,}")
            yield image
    except UserError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{file.name} is too large: at most {LARGEST:,} pixels") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, struct.error, …
        raise UserError(f"cannot read the image {file.name}: remove or replace it") from error
    finally:
        PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = limits


def read_image(file: Path, channels: int) -> Tensor:
    """The image as it is looked at: turned as its EXIF data say, and what is transparent on white.

    Args:
        file: of any kind that Pillow reads, with 8 or 16 bits a channel.
        channels: 1 for grey, by luminance; 3 for colour.

    Returns:
        ``(channels, H, W)`` float64 in [0, 1].

    Raises:
        UserError: it is broken, absurdly large, or of 32 bits.
    """
    with opened(file) as image:
        if image.mode in DEPTHS:
            raise UserError(f"{file.name} has no 8 or 16 bits a channel: convert it, e.g. to PNG")
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            grey = torch.from_numpy(np.array(upright).astype(np.float64)) / 65535
            return grey.expand(channels, *grey.shape).contiguous()
        pixels = np.array(_plain(upright).convert("L" if channels == 1 else "RGB"))
    tensor = torch.from_numpy(pixels).double() / 255
    return tensor[None] if channels == 1 else tensor.permute(2, 0, 1).contiguous()


def _plain(image: Image.Image) -> Image.Image:
    """In a mode that Pillow turns into grey and into colour, without transparency."""
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None, "it is None for changes in place only"
        return converted
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    return image
