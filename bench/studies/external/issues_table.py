"""Traps in libraries that others use, each measured afresh: ``python -m bench.studies.external traps``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from ...external.base import installed
from . import issues_deepinv, issues_torchdeq
from .known_issue import KnownIssue

TRAPS = (*issues_torchdeq.TRAPS, *issues_deepinv.TRAPS)


def measure_issues() -> list[KnownIssue]:
    """Every trap.

    Raises:
        UserError: torchdeq is not installed.
    """
    installed("torchdeq")
    return [trap() for trap in TRAPS]


def markdown(rows: Sequence[KnownIssue]) -> str:
    """A table in Markdown, a row a trap."""
    lines = ["| library | what | expected | measured |", "|:--|:--|:--|:--|"]
    lines += [f"| {r.library} {version(r.library)} | {r.what} | {r.expected} | {r.measured} |" for r in rows]
    return "\n".join(lines)
