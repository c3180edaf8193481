"""The files of the study: tables in Markdown, CSV and Parquet, and the figure."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd

from ...report.figure_style import RC, save_figure
from ...utils.atomic_files import write_atomically
from ..table_files import table_files
from .figure import learning_figure
from .row import Row
from .table import MIB, SHARES, Measured, name_of, reference_gaps, step_frame, summary_frame

LEGEND = """\
Every row starts at the same weights, and steps on one batch of all training crops, in float64. *Products*: applications
and vector–Jacobian products of the whole batch, rejected trials included, until a θ has been evaluated whose exact loss
is that share of the gain below the first one: mean over the seeds (smallest–largest), or on how many it never is. The
*gain* is from the first exact loss to the best exact loss of any row, or of a reference run that is in no row. Exact
losses are solved for aside; they cost no row anything. *Seconds*: of the process, on one thread, in the optimisation
loop alone. *Tape*: bytes that the first evaluation keeps for its backward pass. *Left*: the smallest share of the gain
that is left, on the worst seed; where that of the reference run is large, the loss has several minima, and a row found
a lower one. *Rises*: steps whose exact loss is above the one before, of all steps and seeds. *Warm*: each solve starts
at the solution of the one before.
"""


def learning_markdown(summary: pd.DataFrame, left: Mapping[str, float], setting: str) -> str:
    """A table for each task, with a legend.

    Args:
        summary: of ``summary_frame``.
        left: of ``reference_gaps``.
        setting: a line on images, seeds and the machine.
    """
    parts = ["# Products until learning has most of what it can gain", setting, LEGEND]
    for task, rows in summary.groupby("task", sort=False):
        parts += [f"## `{task}`", f"Left by the reference run: {left[str(task)]:.1e}.", _table(rows)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(rows: pd.DataFrame) -> str:
    records: Sequence[Mapping[str, Any]] = rows.to_dict("records")
    lines = [
        {
            "operator": row["operator"],
            "estimator": f"`{row['estimator']}`",
            "optimiser": f"{row['optimiser']}, {row['start']}",
            "from": row["source"],
            **{f"to {name_of(share)} %": _products(row, name_of(share)) for share in SHARES},
            "seconds to 99 %": _number(row["seconds_99"], ".2f"),
            "tape, MiB": f"{row['tape'] / MIB:.3g}",
            "left": _number(row["gap"], ".1e"),
            "rises": f"{row['rises']} of {row['steps']}",
        }
        for row in records
    ]
    align = ("left",) * 4 + ("right",) * (len(SHARES) + 4)
    return pd.DataFrame(lines).to_markdown(index=False, colalign=align, disable_numparse=True)


def _products(row: Mapping[str, Any], name: str) -> str:
    reached, seeds = row[f"reached_{name}"], row["seeds"]
    if reached < seeds:
        return "never" if not reached else f"never on {seeds - reached} of {seeds}"
    least, most = row[f"products_{name}_least"], row[f"products_{name}_most"]
    return f"{row[f'products_{name}']:.0f}" + ("" if least == most else f" ({least:.0f}–{most:.0f})")


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)


def write_report(found: Sequence[Measured], reference: Row, setting: str, out: Path) -> list[Path]:
    """Write ``steps.csv``, ``steps.parquet``, ``summary.csv``, ``summary.parquet``, ``learning.md`` and the figure.

    Args:
        found: all rows, with the reference, on all tasks and seeds.
        reference: the row that is in no table.
        setting: a line on images, seeds and the machine.
        out: a folder that exists.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    both = step_frame(found)
    left = reference_gaps(both, reference)
    steps = both[both["row"] != reference.label]
    summary = summary_frame(steps)
    files: dict[str, str | bytes] = {"learning.md": learning_markdown(summary, left, setting)}
    files |= table_files({"steps": steps, "summary": summary})
    for name, content in files.items():
        write_atomically(out / name, content)
    with mpl.rc_context(RC):
        mpl.use("agg")
        return [*(out / name for name in files), *save_figure(learning_figure(steps), "learning", out)]
