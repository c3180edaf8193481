"""Profiles in TOML that are wrong."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from tests.resilience.corpus.calls import CODE, bad_calls

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
    for call in bad_calls(rng, 20):
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
