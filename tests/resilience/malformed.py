"""Malformed profiles, calls, records, manifests, images and weights: each ends in one line, and nothing is written."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.records.record import Record
from bench.records.store import Manifest, Store
from tests.helpers.profiles import PROFILE
from tests.resilience import corpus

MARK = "touched by code in the input"
Judge = Callable[[bytes, Path], str]
"""An input and an empty folder -> what is wrong with how it was received, or nothing."""


@dataclass(slots=True)
class Family:
    """Inputs of one kind.

    Attributes:
        family: which.
        inputs: how many.
        wrong: of those, how many were not refused in a line with nothing written.
        examples: of what was wrong.
    """

    family: str
    inputs: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list[str])

    def row(self) -> dict[str, object]:
        """As JSON has it."""
        return asdict(self)


def malformed(folder: Path, seed: int = 0, every: int = 1) -> list[Family]:
    """Give each input to the command that reads it.

    Args:
        folder: to work in; made if missing.
        seed: of the random ones.
        every: take only every n-th input.
    """
    return [_family(name, folder / name, seed, every) for name in FAMILIES]


def _family(name: str, folder: Path, seed: int, every: int) -> Family:
    made, judge = FAMILIES[name]
    found = Family(name)
    for number, content in enumerate(made(random.Random(seed))):
        if number % every:
            continue
        place = folder / str(number)
        place.mkdir(parents=True)
        found.inputs += 1
        if why := judge(content, place):
            found.wrong += 1
            found.examples.append(f"{number}: {why} {content[:80]!r}"[:400])
    return found


def refused(words: list[str], folder: Path, *, untouched: bool = True) -> str:
    """What is wrong with how a command refuses its input: nothing for one line, exit code 2 and no file written."""
    from bench.__main__ import entry

    before = _state(folder)
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = entry(words)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    said = err.getvalue()
    if code != 2 or out.getvalue():
        return f"exit code {code}: {said[-200:]}"
    if not said.startswith("error: ") or said.count("\n") != 1 or len(said) > 2000:
        return f"said {said[:200]!r}"
    if untouched and _state(folder) != before:
        return "something was written"
    return ""


def _state(folder: Path) -> list[tuple[str, int, int]]:
    found = [(f, f.lstat()) for f in sorted(folder.rglob("*"))]
    return [(str(f), stat.st_size, stat.st_mtime_ns) for f, stat in found]


def _profile(content: bytes, folder: Path) -> str:
    (folder / "p.toml").write_bytes(content)
    return refused(["run", str(folder / "p.toml"), "--out", str(folder / "out"), "--device", "cpu"], folder)


def _call(content: bytes, folder: Path) -> str:
    kind, _, text = content.decode("utf-8", "surrogateescape").partition(":")
    given = {"task": "denoising(l1)", "solver": "unrolled(1)"} | {kind: text}
    (folder / "p.toml").write_text(PROFILE, encoding="utf-8")
    words = [f"--{name}={value}" for name, value in given.items()]
    return refused(["cell", *words, "--profile", str(folder / "p.toml"), "--device", "cpu"], folder)


def _record(content: bytes, folder: Path) -> str:
    store = Store(folder / "out")
    store.claim(Manifest("p", "", "i", "cpu", [corpus.KEY]))
    (store.rows / f"{corpus.KEY}.json").write_bytes(content)
    if store.damaged([corpus.KEY]) != [corpus.KEY]:
        return "taken for a record"
    if why := refused(["report", str(store.folder)], folder):
        return why
    aside = store.set_aside(corpus.KEY)
    return "" if aside.read_bytes() == content and not store.damaged([corpus.KEY]) else "not set aside whole"


def _manifest(content: bytes, folder: Path) -> str:
    store = Store(folder / "out")
    store.claim(Manifest("resilience", "", "scikit-image", "cpu", []))
    outside = Record("../../outside", "quality", "t", "s", "c", 0, "ok", "", {}, {}, {})
    (folder / "outside.json").write_text(outside.to_json(), encoding="utf-8")
    (store.folder / "manifest.json").write_bytes(content)
    (folder / "p.toml").write_text(PROFILE, encoding="utf-8")
    again = ["run", str(folder / "p.toml"), "--out", str(store.folder), "--device", "cpu"]
    return refused(["report", str(store.folder)], folder) or refused(again, folder)


def _image(content: bytes, folder: Path) -> str:
    suffix, _, data = content.partition(b":")
    (folder / "images").mkdir()
    (folder / "images" / "a.png").write_bytes(corpus.picture("PNG"))
    (folder / "images" / f"b{suffix.decode()}").write_bytes(data)
    (folder / "p.toml").write_text(PROFILE, encoding="utf-8")
    words = ["run", str(folder / "p.toml"), "--out", str(folder / "out"), "--device", "cpu"]
    return refused([*words, "--images", str(folder / "images")], folder)


def _weights(content: bytes, folder: Path) -> str:
    suffix, _, data = content.partition(b":")
    file = folder / f"w{suffix.decode()}"
    file.write_bytes(data.replace(b"TOUCHED", str(folder / "touched").encode()))
    (folder / "p.toml").write_text(PROFILE.replace("float64", "float32"), encoding="utf-8")
    words = ["cell", "--task", "denoising(dncnn)", "--solver", "unrolled(1)", "--device", "cpu"]
    return refused([*words, "--profile", str(folder / "p.toml"), "--weights", str(file)], folder)


FAMILIES: dict[str, tuple[Callable[[random.Random], Iterator[bytes]], Judge]] = {
    "profiles": (corpus.profiles, _profile),
    "calls": (corpus.calls, _call),
    "records": (corpus.records, _record),
    "manifests": (corpus.manifests, _manifest),
    "images": (corpus.images, _image),
    "weights": (corpus.weights, _weights),
}
