"""Records and manifests that are damaged, forged or no JSON."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from bench.records.record import Record
from bench.records.store import Manifest

KEY = "0123456789abcdef0123"


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
        if name != "operator":  # records of older versions have none
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
