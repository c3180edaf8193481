"""Input that no user should get away with, hand-made and random; none of it is valid."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save as write_safetensors

from bench.records.record import Record
from bench.records.store import Manifest

KEY = "0123456789abcdef0123"
CODE = "__import__('os').system('touch TOUCHED')"
WRONG = (
    *(
        '"x"',
        '""',
        "[]",
        "{}",
        "[[[[]]]]",
        "{ a = 1 }",
        "1979-05-27",
        "07:32:00",
        "-1",
        "-0.5",
        "nan",
        "-inf",
        "1e400",
    ),
    *(
        "99999999999999999999999999",
        "0x7fffffffffffffff",
        '"12"',
        '"../../etc/passwd"',
        f'"{CODE}"',
        "[1]",
        "-1e-300",
    ),
)
"""Values in TOML that no number of a profile can be."""
NUMBERS = (
    *(f"images.{key}" for key in ("crop", "train", "test")),
    *(f"training.{key}" for key in ("steps", "learning_rate", "batch", "network_learning_rate", "clip")),
    *("training.checkpoint", "training.eval_every"),
    *(f"equilibrium.{key}" for key in ("tol", "budget", "max_applications")),
    *("oracle.budget", "timing.rounds", "timing.seconds", "threads", "timeout"),
)
VALID = {
    ("seeds", "[1]"),
    *(("training.clip", value) for value in WRONG if value[0] in "90" or value == "1e400"),
}
LISTS = ("tasks", "solvers", "seeds", "blocks")
NAMES = (
    "../../x",
    "/etc/passwd",
    "a/b",
    ".",
    "",
    "UPPER",
    "a" * 60,
    "a\\nb",
    "x.toml",
    "nul\\u0000",
    "~",
    "-x",
    "é",
)


def _given(**changes: str) -> str:
    """A profile in TOML, one key a line, in which some keys have other values."""
    keys = {
        "name": '"x"', "summary": '"s"', "tasks": '["denoising(l1)"]', "solvers": '["jfb(1)"]', "seeds": "[0]",
        "dtype": '"float64"', "threads": "1", "images.crop": "32", "images.train": "2", "images.test": "1",
        "training.steps": "0", "training.learning_rate": "0.1", "training.batch": "1", "equilibrium.tol": "0.1",
        "equilibrium.budget": "3", "timing.rounds": "1", "timing.seconds": "0.1",
    } | {name.replace("__", "."): value for name, value in changes.items()}  # fmt: skip
    return "".join(f"{key} = {value}\n" for key, value in keys.items() if value)


def profiles(rng: random.Random) -> Iterator[bytes]:
    """Wrong types, absurd numbers, unknown keys, names that are paths, cut short, binary, deep, and large."""
    for key in (*NUMBERS, *LISTS):
        for value in WRONG if key in NUMBERS else [v for v in WRONG if v != "[]" or key != "blocks"]:
            if (key, value) not in VALID:
                yield _given(**{key.replace(".", "__"): value}).encode()
    for name in NAMES:
        yield _given(name=f'"{name}"').encode()
    for key in (
        "name",
        "tasks",
        "solvers",
        "seeds",
        "dtype",
        "threads",
        "images.crop",
        "training.learning_rate",
    ):
        yield _given(**{key.replace(".", "__"): ""}).encode()  # left out
    for key in (
        "nmae",
        "images.crops",
        "__class__",
        "training.__init__",
        '"a b"',
        "blocks2",
        "timing.seconds2",
    ):
        yield _given(**{key: "1"}).encode()
    for call in _bad_calls(rng, 20):
        quoted = json.dumps(call).encode("utf-8", "replace").decode()
        yield _given(tasks=f"[{quoted}]").encode("utf-8", "replace")
        yield _given(solvers=f"[{quoted}]").encode("utf-8", "replace")
    text = _given().encode()
    yield from (text[:end] for end in range(0, len(text) - 4, 4))
    yield from (text[:at] + b"\xff\x00" + text[at:] for at in range(0, len(text), 20))
    yield from (b"a = " + bracket * 20_000 for bracket in (b"[", b"{a=", b"'''", b'"'))
    yield b"a." * 20_000 + b"a = 1"
    yield b"# " + b"x" * 10_000_000
    yield rng.randbytes(100_000)
    yield text + text
    yield b"x = " + b"9" * 100_000


def _bad_calls(rng: random.Random, count: int) -> Iterator[str]:
    yield from (
        CODE,
        "os.system('x')",
        "lambda: 0",
        "[x for x in ()]",
        "(" * 90 + ")" * 90,
        "(" * 5000,
        "-" * 150,
    )
    yield from (
        "",
        " ",
        "()",
        "((",
        "nope",
        "nope(1)",
        "jfb(",
        "jfb)",
        "jfb(1)(2)",
        "jfb(**{})",
        "jfb(*[1])",
        "a.b(1)",
    )
    yield from (
        "jfb('1')",
        "jfb(1j)",
        "jfb(1e999)",
        "jfb(None)",
        "jfb(...)",
        "jfb(-1)",
        "jfb(1, 2, 3)",
        "jfb(x=1)",
    )
    yield from (
        "jfb(N=1, N=2)",
        "jfb(1 if 1 else 2)",
        "jfb(1);x",
        "jfb(１)",
        "ｊｆｂ(1",
        "jfb(nan)",
        "jfb(1.5)",
    )
    yield from (f"jfb({CODE})", "f'{x}'", "jfb(f'{1}')", "jfb(b'1')", "jfb(" + "9" * 5000 + ")")
    yield from (
        "denoising(l1(l1(l1)))",
        "denoising(denoising)",
        "denoising(prior=)",
        "denoising(noise=-1)",
        "denoising(1)",
    )
    yield from (
        "denoising(l1, noise=1e400)",
        "denoising(noise=nan)",
        "deblurring(blur=-3)",
        "inpainting(lost=2.0)",
    )
    yield from (
        "denoising(huber, noise='x')",
        "x:=1",
        "await x",
        "*a",
        "**a",
        "a[0]",
        "a[b(c)]",
        "not 1",
        "1 < 2",
        "yield",
    )
    yield from (
        "\u202edenoising",
        "denoising\u0000",
        "d\u0435noising",
        "\ud800",
        "😀",
        "\N{COMBINING ACUTE ACCENT}" * 50,
    )
    alphabet = "jfbdenoisg()[]{}.,=*'\"\\ 0123456789-+é😀\t\n\x00\x1b%;:#@"
    for _ in range(count):
        yield "".join(rng.choices(alphabet, k=rng.randrange(1, 60))) + "?"


def calls(rng: random.Random) -> Iterator[bytes]:
    """Tasks and solvers that are none: code, unicode, deep parentheses, random characters."""
    for kind in ("task", "solver"):
        for call in _bad_calls(rng, 120):
            yield f"{kind}:{call}".encode("utf-8", "surrogateescape" if "\ud800" not in call else "replace")


def a_record() -> Record:
    """One as a run would leave it."""
    values = {
        "applications": 10,
        "gradient": [0.1, 2.5e-3],
        "residual": 1e-5,
        "converged": True,
        "oracle": "certified",
    }
    settings = {"dtype": "float64", "images": {"crop": 32, "train": 2}, "training": {"batch": 1}}
    return Record(
        KEY, "quality", "denoising(l1)", "jfb(2)", "a × b", 0, "ok", "", settings, values, {"dirty": False}
    )


def _sealed(content: dict[str, Any]) -> bytes:
    """With the checksum that belongs to it, as somebody might forge it."""
    line = json.dumps(content, sort_keys=True, ensure_ascii=False)
    content = content | {"checksum": hashlib.sha256(line.encode()).hexdigest()[:16]}
    return json.dumps(content, sort_keys=True, ensure_ascii=False).encode()


def records(rng: random.Random) -> Iterator[bytes]:
    """Cut short, flipped, edited, of another cell, forged with wrong types, and JSON that is a trap."""
    whole = a_record().to_json().encode()
    yield from (whole[:end] for end in range(0, len(whole), 5))
    for at in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << rng.randrange(5)
        if not _same(bytes(flipped)):
            yield bytes(flipped)
    yield from (
        whole.replace(a, b)
        for a, b in ((b"10", b"11"), (b"0.1", b"0.2"), (b"true", b"false"), (b"ok", b"nan"))
    )
    yield replace(a_record(), key="f" * 20).to_json().encode()
    content = json.loads(whole)
    content.pop("checksum")
    for name in content:
        for value in (None, [], 1.5, True, {"a": []}, "x", [[[]]], -1):
            if type(value) is not type(content[name]) and not (name == "seed" and value is True):
                yield _sealed(content | {name: value})
        yield _sealed({other: value for other, value in content.items() if other != name})
    yield _sealed(content | {"__class__": "x"})
    yield from _json_traps()


def _same(data: bytes) -> bool:
    try:
        return Record.from_json(data.decode()) == a_record()
    except ValueError:
        return False


def _json_traps() -> Iterator[bytes]:
    yield from (
        b"",
        b" ",
        b"null",
        b"0",
        b'""',
        b"[]",
        b"{}",
        b"NaN",
        b"{",
        b"\x00" * 100,
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
    )
    yield from (
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 900 + b"]" * 900,
        b"9" * 10_000,
        b"-" * 10_000,
        b"1e999999",
    )
    yield from (
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'"\\ud800"',
        b'{"checksum": 1}',
        b"[1, 2",
        b"{'a': 1}",
        b"x" * 10**6,
    )


def manifests(rng: random.Random) -> Iterator[bytes]:
    """Wrong types, missing and foreign keys, keys of cells that lead out of the folder, traps."""
    content: dict[str, Any] = asdict(Manifest("resilience", "s", "scikit-image", "cpu", [KEY]))
    whole = json.dumps(content).encode()
    yield from (whole[:end] for end in range(len(whole)))
    for name in content:
        for value in (
            None,
            [],
            {},
            1.5,
            "x" if name in ("cells", "schema") else 7,
            [[]],
            [1],
            [None],
            -1,
            10**30,
            {"a": 1},
        ):
            if (name, value) != ("cells", []):
                yield json.dumps(content | {name: value}).encode()
        yield (
            json.dumps({k: v for k, v in content.items() if k not in (name, "schema")}).encode()
            if name != "schema"
            else b"{"
        )
    leads = (
        "../../outside",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/b",
        "a\\b",
        "a\x00b",
        "~/x",
        "x" * 300,
        "../" * 50 + "etc",
        "a b",
        "é/",
    )
    for key in leads:
        yield json.dumps(content | {"cells": [KEY, key]}).encode()
    yield json.dumps(content | {"__init__": 1}).encode()
    yield from _json_traps()


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
