"""The table of known issues of other libraries, measured anew: ``python -m bench.studies.external traps``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec

from ...external.base import installed
from . import issues_deepinv, issues_silva, issues_torchdeq, issues_torchopt
from .known_issue import KnownIssue

KNOWN_ISSUES = (*issues_torchdeq.ISSUES, *issues_deepinv.ISSUES)
"""Of libraries that the project's environments hold."""
FURTHER_ISSUES = {"torchopt": issues_torchopt.ISSUES, "silva_networks": issues_silva.ISSUES}
"""Of libraries that they do not hold, by module."""


def measure_issues() -> list[KnownIssue]:
    """Measure every known issue, those of torchopt and silva-networks where these are installed.

    Raises:
        UserError: torchdeq is not installed.
    """
    installed("torchdeq")
    further = [issue for name, issues in FURTHER_ISSUES.items() if find_spec(name) for issue in issues]
    return [measure() for measure in (*KNOWN_ISSUES, *further)]


def markdown(rows: Sequence[KnownIssue]) -> str:
    """The rows as a Markdown table."""
    lines = ["| library | what | expected | measured |", "|:--|:--|:--|:--|"]
    lines += [f"| {r.library} {version(r.library)} | {r.what} | {r.expected} | {r.measured} |" for r in rows]
    return "\n".join(lines)
