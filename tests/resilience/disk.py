"""A disk that is full at any point of a run, or may only be read."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from errno import ENOSPC
from functools import partial
from pathlib import Path
from typing import Any

from tests.resilience.runs import Asked, ask, begin, complete, readable, table

PAGE = 4096
"""Bytes; a file of any size takes whole pages."""


@dataclass(frozen=True, slots=True)
class Point:
    """How a run ended whose disk was full.

    Attributes:
        where: ``tmpfs`` of so many pages; ``read-only`` after so many records; ``call`` number so and so that writes.
        at: how many.
        code: exit code; 0 where there was room enough, or 2 where there was not even for a beginning.
        line: the last one on standard error.
        one_line: it is the only one that tells of no cell, and there is no traceback.
        opens: the store does.
        lost: records that the run had told of, and are gone.
        stored: records that were there in the end.
        goes_on: with room, the same line brings it to its end, with every cell.
    """

    where: str
    at: int
    code: int | None
    line: str
    one_line: bool
    opens: bool
    lost: int
    stored: int
    goes_on: bool

    def clean(self) -> bool:
        """Whether it is as promised."""
        said = self.code == 0 or (self.one_line and self.line.startswith("error: ") and self.code in (1, 2))
        return said and self.opens and not self.lost and self.goes_on

    def row(self) -> dict[str, object]:
        """As JSON has it."""
        return asdict(self)


def disk(points: int, folder: Path, tables: bool = True) -> list[Point]:
    """So many runs, each on a disk that is full at another point; on a small tmpfs where mounting is allowed.

    Args:
        points: how many.
        folder: for the runs; made if missing.
        tables: write tables and figures as well.
    """
    if not may_mount(folder / "mount"):
        return calls(points, folder)
    sizes = sorted(
        {round(2 + i * (CELLS_PAGES if not tables else TABLES_PAGES) / points) for i in range(points)}
    )
    third = [(folder / f"read-only-{i}", 4 * i) for i in range(1, 5)]
    found = [_small(folder / f"pages-{pages}", pages, tables) for pages in sizes[: points - len(third)]]
    return found + [_read_only(where, records) for where, records in third]


CELLS_PAGES = 60
TABLES_PAGES = 160
"""Pages that a whole run takes, without and with its tables and figures; a little less."""


def calls(points: int, folder: Path, first: int = 1) -> list[Point]:
    """The same without a disk: the n-th call that writes, of all processes of a run together, says that it is full."""
    return [_call(folder / f"call-{at}", at) for at in range(first, first + points)]


def may_mount(folder: Path) -> bool:
    """Whether this user may mount a tmpfs."""
    with suppress(OSError, subprocess.CalledProcessError):
        _mount(folder, "size=64k")
        _unmount(folder)
        return True
    return False


def _mount(folder: Path, options: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(words, check=True, capture_output=True, timeout=30)


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True, timeout=30)


def _small(folder: Path, pages: int, tables: bool) -> Point:
    asked = ask(folder, tables=tables)
    asked = replace(asked, out=folder / "disk" / "out")
    _mount(folder / "disk", f"size={pages * PAGE}")
    try:
        code = begin(asked).end()
        return _point(asked, "tmpfs", pages, code, partial(_mount, folder / "disk", "remount,size=100m"))
    finally:
        _unmount(folder / "disk")


def _read_only(folder: Path, records: int) -> Point:
    asked = replace(ask(folder), out=folder / "disk" / "out")
    _mount(folder / "disk", "size=100m")
    try:
        run = begin(asked)
        while len(asked.noted("told")) < records and run.wait(0.002) is None:
            pass
        for _ in range(1000):  # busy for as long as a file is open for writing
            with suppress(subprocess.CalledProcessError):
                _mount(folder / "disk", "remount,ro")
                break
        return _point(asked, "read-only", records, run.end(), partial(_mount, folder / "disk", "remount,rw"))
    finally:
        _unmount(folder / "disk")


def _call(folder: Path, at: int) -> Point:
    asked = ask(folder, jobs=1, prepare=Full(at, folder / "calls"))
    return _point(asked, "call", at, begin(asked).end(), lambda: None)


@dataclass(frozen=True, slots=True)
class Full:
    """From the n-th call that writes on, the disk is full.

    Attributes:
        at: n, from 1, over all processes of a run.
        count: a file that grows by a byte a call.
    """

    at: int
    count: Path

    def __call__(self) -> None:
        """Put it in the way of those calls, in this process and those forked from it."""
        make, link, flush = tempfile.mkstemp, os.link, os.fsync
        tempfile.mkstemp = partial(self._unless_full, make)  # pyright: ignore[reportAttributeAccessIssue]
        os.link = partial(self._unless_full, link)
        os.fsync = partial(self._unless_full, flush)

    def _unless_full(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        handle = os.open(self.count, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, b".")
        os.close(handle)
        if self.count.stat().st_size >= self.at:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        return call(*arguments, **named)


def _point(asked: Asked, where: str, at: int, code: int | None, make_room: Callable[[], None]) -> Point:
    # Where the disk was full for the tables, it had said before how many cells there are.
    lines = [line for line in asked.noted("stderr") if "·" not in line and not line.startswith("cells: ")]
    told, there = set(asked.noted("told")), readable(asked.out)
    make_room()
    again = replace(asked, notes=asked.notes / "again", prepare=None)
    again.notes.mkdir(exist_ok=True)
    goes_on = begin(again).end() == 0 and complete(table(asked.out))
    return Point(
        where,
        at,
        code,
        lines[-1] if lines else "",
        len(lines) == 1,
        goes_on or bool(table(asked.out)),
        len(told - set(there)),
        len(there),
        goes_on,
    )
