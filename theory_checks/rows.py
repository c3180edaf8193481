"""What experiments measured, as tables, and the files of a group's section."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from bench.drawing import save
from bench.files import write_atomically

from .experiment import Row, S
from .group import Group
from .judge import allowed
from .verify import Verdict


def frame(verdicts: list[Verdict]) -> pd.DataFrame:
    """A row a measured quantity, as text."""
    return pd.DataFrame(
        [
            {
                "claim": v.id,
                "quantity": row.quantity,
                "measured": _short(row.measured),
                "predicted": _short(row.predicted),
                "asked": allowed(row) or "—",
                "margin": _short(row.margin),
                "status": row.status,
                "seed": str(row.seed) if row.seed >= 0 else "",
            }
            for v in verdicts
            for row in v.rows
        ]
    )


def summary(verdicts: list[Verdict]) -> pd.DataFrame:
    """A row an experiment, as text: its statement, how it is known, and its verdict."""
    return pd.DataFrame(
        [
            {
                "claim": v.id,
                "statement": v.statement,
                "known": v.mark,
                "rows": v.examples,
                "nearest to its limit": v.detail or v.reason,
                "verdict": v.verdict,
                "seconds": f"{v.seconds:.1f}",
            }
            for v in verdicts
        ]
    )


def plain(row: Row) -> dict[str, Any]:
    """A row as it stands in JSON: all its fields, its margin and its status."""
    return asdict(row) | {"margin": row.margin, "status": row.status}


def numbers(verdicts: list[Verdict]) -> pd.DataFrame:
    """The same as ``frame``, as numbers: what ``rows.csv`` holds."""
    return pd.DataFrame([{"claim": v.id, "known": v.mark, **plain(row)} for v in verdicts for row in v.rows])


def write(
    group: Group[S], setting: S, verdicts: list[Verdict], folder: Path, *, whole: bool = True
) -> list[Path]:
    """Write ``GROUP/rows.csv``, the group's tables and figures, and ``GROUP/README.md``, which shows them.

    Experiments that could not be run (no device, no data) have no rows; where none has, only the reasons are written.

    Args:
        whole: whether tables and figures are made, which need what all experiments of the group compute.
    """
    own = {experiment.id for experiment in group.experiments}
    mine = [v for v in verdicts if v.id in own]
    there = folder / group.name
    there.mkdir(parents=True, exist_ok=True)
    lines = [f"# {group.title}", "", markdown(summary(mine)), ""]
    lines += [f"- {v.id}: {v.reason}." for v in mine if v.reason]
    written: list[Path] = []
    if any(v.rows for v in mine):
        for stem, figure in group.figures(setting).items() if whole else ():
            written += save(figure, stem, there)
            lines += ["", f"## {_title(stem)}", "", f"![{_title(stem)}]({stem}.png)"]
        for stem, table in group.tables(setting).items() if whole else ():
            written.append(there / f"{stem}.csv")
            write_atomically(written[-1], table.to_csv(index=False, float_format="%.8g"))
            lines += ["", f"## Table: {_title(stem).lower()}", "", _table(table)]
        written.append(there / "rows.csv")
        write_atomically(written[-1], numbers(mine).to_csv(index=False))
        lines += ["", "## What was measured", "", markdown(frame(mine)), LEGEND]
    lines += ["", "## Setting", "", f"`{setting!r}`"]
    written.append(there / "README.md")
    write_atomically(written[-1], "\n".join(lines).rstrip() + "\n")
    return written


def markdown(shown: pd.DataFrame) -> str:
    """A table of text in Markdown."""
    shown = shown.rename(columns=lambda title: str(title).replace("|", "\\|"))
    return shown.replace(r"\|", r"\\|", regex=True).to_markdown(index=False, disable_numparse=True)


LONGEST = 60
"""Rows of a table that are shown; all of them stand in its file."""


def _table(table: pd.DataFrame) -> str:
    shown = table.head(LONGEST).map(lambda cell: _short(cell) if isinstance(cell, float) else str(cell))
    more = len(table) - len(shown)
    return markdown(shown) + (f"\n\n({more} more rows in the file.)" if more else "")


def _title(stem: str) -> str:
    return stem.replace("-", " ").replace("_", " ").capitalize()


def _short(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "—"


LEGEND = """
*Measured* is held against the closed range *asked*; *margin* is the distance to its nearer end. `reported` asserts
nothing. `not met`: outside its range at this size, for the reason given. *Known*: `read` in the authors' text or
code, `derived` here and proved or verified numerically, or `guessed`, where the paper's text was not at hand.
"""
