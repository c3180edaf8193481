"""Tasks and solvers that are none."""

from __future__ import annotations

import random
from collections.abc import Iterator

CODE = "__import__('os').system('touch TOUCHED')"


def bad_calls(rng: random.Random, count: int) -> Iterator[str]:
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
        for call in bad_calls(rng, 120):
            yield f"{kind}:{call}".encode("utf-8", "surrogateescape" if "\ud800" not in call else "replace")
