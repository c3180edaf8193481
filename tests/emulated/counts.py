"""Counts of what the emulated device was asked for, and where."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tuple(str(ROOT / name) + "/" for name in ("solvers", "bench", "theory_checks"))
LIBRARIES = ("deepinv", "torchdeq", "torchmetrics")


@dataclass(slots=True)
class Counts:
    """What was seen between the beginning and the end of a ``counted`` context.

    Attributes:
        launches: operations that compute or copy, each at least one kernel.
        waits: operations for which the host waits until the device has computed, by kind and place.
        uploads: copies of pageable memory to the device, by kind and place; a CUDA graph may hold none.
        undetermined: operations without a deterministic implementation on CUDA, by kind and place.
    """

    launches: int = 0
    waits: Counter[str] = field(default_factory=Counter[str])
    uploads: Counter[str] = field(default_factory=Counter[str])
    undetermined: Counter[str] = field(default_factory=Counter[str])

    def launch(self) -> None:
        """Count a kernel."""
        self.launches += 1

    def wait(self, kind: str) -> None:
        """Count a wait of the host."""
        self.waits[f"{kind} at {place()}"] += 1

    def upload(self, kind: str, times: int = 1) -> None:
        """Count copies to the device."""
        if times:
            self.uploads[f"{kind} at {place()}"] += times

    def alert(self, kind: str) -> None:
        """Count an operation that is not deterministic."""
        self.undetermined[f"{kind} at {place()}"] += 1


_OPEN: list[Counts] = [Counts()]


def now() -> Counts:
    """The innermost open count."""
    return _OPEN[-1]


@contextmanager
def counted() -> Generator[Counts]:
    """A count of its own of what happens in here; those outside do not see it."""
    found = Counts()
    _OPEN.append(found)
    try:
        yield found
    finally:
        _OPEN.remove(found)


def place() -> str:
    """``FILE:LINE`` of the innermost frame of this project, or of a library that it runs."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PROJECT):
            return f"{Path(file).relative_to(ROOT)}:{frame.f_lineno}"
        if any(f"/site-packages/{name}/" in file for name in LIBRARIES):
            return f"{file.split('/site-packages/')[1]}:{frame.f_lineno}"
        frame = frame.f_back
    return "a test"
