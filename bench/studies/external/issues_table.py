"""The table of known issues of other libraries, measured anew: ``python -m bench.studies.external traps``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from ...external.base import installed
from . import issues_deepinv, issues_torchdeq
from .known_issue import KnownIssue

KNOWN_ISSUES = (*issues_torchdeq.ISSUES, *issues_deepinv.ISSUES)


def measure_issues() -> list[KnownIssue]:
    """Measure every known issue. Raises ``UserError`` if torchdeq is not installed."""
    installed("torchdeq")
    return [measure() for measure in KNOWN_ISSUES]


def markdown(rows: Sequence[KnownIssue]) -> str:
    """The rows as a Markdown table."""
    lines = ["| library | what | expected | measured |", "|:--|:--|:--|:--|"]
    lines += [f"| {r.library} {version(r.library)} | {r.what} | {r.expected} | {r.measured} |" for r in rows]
    return "\n".join(lines)
