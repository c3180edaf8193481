"""The measurements of experiments as tables, and the report of a group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from bench.report.figure_style import save_figure
from bench.utils.atomic_files import write_atomically

from ..engine import ExperimentGroup, ExperimentVerdict, Measurement, Verdict
from ..engine.experiment import S
from ..engine.experiment_runner import describe_range

SHOWN_ROWS = 60
"""Rows of a table that a page shows; its file holds all of them."""


def measurement_frame(verdicts: Sequence[ExperimentVerdict]) -> pd.DataFrame:
    """Measurements, one row each, as text."""
    return pd.DataFrame(
        [
            {
                "claim": v.id,
                "quantity": m.quantity,
                "measured": _format(m.measured),
                "predicted": _format(m.predicted),
                "asked": describe_range(m) or "—",
                "margin": _format(m.margin),
                "status": m.status,
                "seed": str(m.seed) if m.seed >= 0 else "",
            }
            for v in verdicts
            for m in v.measurements
        ]
    )


def experiment_frame(verdicts: Sequence[ExperimentVerdict]) -> pd.DataFrame:
    """Experiments, one row each, as text."""
    return pd.DataFrame(
        [
            {
                "claim": v.id,
                "statement": v.statement,
                "known": v.evidence.value,
                "rows": v.asserted,
                "nearest to its limit": v.detail or v.reason,
                "verdict": v.verdict,
                "seconds": f"{v.seconds:.1f}",
            }
            for v in verdicts
        ]
    )


def measurement_json(measurement: Measurement) -> dict[str, Any]:
    """The fields of a measurement, its margin and its status."""
    return asdict(measurement) | {"margin": measurement.margin, "status": measurement.status}


def measurement_numbers(verdicts: Sequence[ExperimentVerdict]) -> pd.DataFrame:
    """Measurements, one row each, as numbers: the content of ``rows.csv``."""
    return pd.DataFrame(
        [
            {"claim": v.id, "known": v.evidence.value, **measurement_json(m)}
            for v in verdicts
            for m in v.measurements
        ]
    )


def write_group(
    group: ExperimentGroup[S], settings: S, verdicts: Sequence[Verdict], out: Path, *, whole: bool = True
) -> list[Path]:
    """Write the report of a group: ``README.md``, ``rows.csv``, tables and figures, in the folder ``out/NAME``.

    Without any measurement (no device, no data) only the reasons are written.

    Args:
        group: the group, with the experiments that were run.
        settings: their settings.
        verdicts: verdicts; those of other groups are ignored.
        out: parent of the folder of the group.
        whole: whether all experiments of the group were run; only then are tables and figures made.
    """
    ids = {experiment.id for experiment in group.experiments}
    own = [v for v in verdicts if isinstance(v, ExperimentVerdict) and v.id in ids]
    folder = out / group.name
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"# {group.title}", "", markdown_table(experiment_frame(own)), ""]
    lines += [f"- {v.id}: {v.reason}." for v in own if v.reason]
    written: list[Path] = []
    if any(v.measurements for v in own):
        for stem, figure in group.figures(settings).items() if whole else ():
            written += save_figure(figure, stem, folder)
            lines += ["", f"## {_title(stem)}", "", f"![{_title(stem)}]({stem}.png)"]
        for stem, table in group.tables(settings).items() if whole else ():
            written.append(folder / f"{stem}.csv")
            write_atomically(written[-1], table.to_csv(index=False, float_format="%.8g"))
            lines += ["", f"## Table: {_title(stem).lower()}", "", _shorten(table)]
        written.append(folder / "rows.csv")
        write_atomically(written[-1], measurement_numbers(own).to_csv(index=False))
        lines += ["", "## What was measured", "", markdown_table(measurement_frame(own)), EXPERIMENT_LEGEND]
    lines += ["", "## Setting", "", f"`{settings!r}`"]
    written.append(folder / "README.md")
    write_atomically(written[-1], "\n".join(lines).rstrip() + "\n")
    return written


def markdown_table(frame: pd.DataFrame) -> str:
    """A table of text in Markdown."""
    frame = frame.rename(columns=lambda title: str(title).replace("|", "\\|"))
    return frame.replace(r"\|", r"\\|", regex=True).to_markdown(index=False, disable_numparse=True)


def _shorten(table: pd.DataFrame) -> str:
    head = table.head(SHOWN_ROWS).map(lambda cell: _format(cell) if isinstance(cell, float) else str(cell))
    more = len(table) - len(head)
    return markdown_table(head) + (f"\n\n({more} more rows in the file.)" if more else "")


def _title(stem: str) -> str:
    return stem.replace("-", " ").replace("_", " ").capitalize()


def _format(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "—"


EXPERIMENT_LEGEND = """
*Measured* must lie in the closed range *asked*; *margin* is the distance to its nearer end. `reported`: the value has
no range. `not met`: the value lies outside its range at this size, for the reason given. *Known*: `read` in the
authors' text or code, `derived` here and proved or verified numerically, or `guessed`, because the text of the paper
was not available.
"""
