"""Traps in libraries that others use, each measured afresh: ``python -m bench.peers traps``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from . import _traps_deepinv, _traps_torchdeq
from ._peer import installed
from ._trap import Row

TRAPS = (*_traps_torchdeq.TRAPS, *_traps_deepinv.TRAPS)


def measure() -> list[Row]:
    """Every trap.

    Raises:
        UserError: torchdeq is not installed.
    """
    installed("torchdeq")
    return [trap() for trap in TRAPS]


def markdown(rows: Sequence[Row]) -> str:
    """A table in Markdown, a row a trap."""
    lines = ["| library | what | expected | measured |", "|:--|:--|:--|:--|"]
    lines += [f"| {r.library} {version(r.library)} | {r.what} | {r.expected} | {r.measured} |" for r in rows]
    return "\n".join(lines)
