"""Images and weights that are broken or hostile."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save as write_safetensors


def picture(kind: str, size: tuple[int, int] = (64, 64), mode: str = "RGB") -> bytes:
    """A valid image file of noise."""
    pixels = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def images(rng: random.Random) -> Iterator[bytes]:
    """Cut short, overwritten, empty, of no format, bombs, smaller than any crop."""
    kinds = {"PNG": b".png:", "JPEG": b".jpg:", "BMP": b".bmp:", "TIFF": b".tif:", "WEBP": b".webp:"}
    for kind, suffix in kinds.items():
        data = picture(kind)
        yield from (suffix + data[: len(data) * part // 24] for part in range(23))
        yield suffix + b"\x00" * len(data)
        yield suffix + rng.randbytes(5000)
        yield suffix + data[:16] + b"\xff" * 64 + data[80:200]
        yield suffix + picture(kind, (1, 1))
        yield suffix + picture(kind, (31, 500))
    for width, height in ((100_000, 100_000), (2**31 - 1, 1), (20_000, 20_000), (0, 0), (8001, 8000)):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\x00" * 100)), (b"IEND", b"")]
        parts = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
        yield b".png:\x89PNG\r\n\x1a\n" + b"".join(parts)
    for other in (
        b"GIF89a",
        b"%PDF-1.7",
        b"<svg/>",
        b"PK\x03\x04",
        b"\x7fELF",
        b"#!/bin/sh\ntouch TOUCHED",
        b"\x00",
    ):
        yield from (suffix + other for suffix in kinds.values())


class _Trap:
    """Unpickled by a careless reader, it leaves a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("open('TOUCHED', 'w').close()",)


def weights(rng: random.Random) -> Iterator[bytes]:
    """Pickles with code, cut short, of other shapes, with absurd headers, not finite."""
    whole = write_safetensors({"a": torch.zeros(3, 3), "b": torch.ones(2)})
    yield from (b".safetensors:" + whole[:end] for end in range(0, len(whole), 3))
    for size in (0, 1, 7, 2**20, 2**31, 2**40, 2**63, 2**64 - 1):
        yield b".safetensors:" + struct.pack("<Q", size) + whole[8:]
    headers: list[Any] = [
        [],
        {},
        {"a": 1},
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}},
        None,
    ]
    headers += [{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}]
    headers += [{"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}]
    headers += [{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}]
    headers += [{"../../a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}]
    for header in (*map(json.dumps, headers), "[" * 50_000, "{" * 99, "9" * 9999):
        yield b".safetensors:" + struct.pack("<Q", len(header)) + header.encode() + b"\x00" * 4
    for tensors in ({"a": torch.zeros(1)}, {"a": torch.tensor([torch.nan])}, {"": torch.zeros(2, 2)}):
        yield b".safetensors:" + write_safetensors(tensors)
    for suffix in (b".pth:", b".pt:", b".safetensors:", b".bin:"):
        for trap in (_Trap(), {"a": _Trap()}, {"state_dict": [_Trap()]}, [1, 2], "x", None, {"a": 1}):
            yield suffix + pickle.dumps(trap)
            buffer = io.BytesIO()
            torch.save(trap, buffer)
            yield suffix + buffer.getvalue()
        yield suffix + b""
        yield suffix + rng.randbytes(10_000)
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(3)}, buffer)
    data = buffer.getvalue()
    yield from (b".pth:" + data[: len(data) * part // 30] for part in range(31))
