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

from ...analysis.cost_at_error import percent
from ...report.figure_style import RC, save_figure
from ...utils.atomic_files import write_atomically
from ..table_files import table_files
from .figure import published_figure
from .table import GradientLine, PsnrLine, gradient_frame, psnr_frame, worst_frame

LEGEND = """\
The gradient of the training loss in all parameters, at the published weights. *Products*: applications and
vector–Jacobian products, each weighted by the share of the batch that it was made on. For the study's solvers an
application is an evaluation of the gradient of the energy, a product one with its Hessian, and an energy alone counts
half an application. *Error*: relative, against a reference that is solved further. *Scaled*: the error of the best
multiple of the gradient. *Stated*: what is said of the error without the reference: of `certified` its own
certificate, of some rows an audit (`solvers.audit`), which no row pays for. Both are
**estimates** from observed derivatives, and no bounds, unless T states proven ones (`rigorous` in the records).
*Seconds*: of the process, on one thread.
"""
SUMMARY = """\
Products: mean over the weight files and seeds. Error: median (smallest–largest). Cosine: the smallest.
"""
PSNR = """\
PSNR at the tolerance that is taken for it, and where that solve went on to a far smaller one: mean over the images, and
the largest difference on one image. Applications are those of each of the two solves.
"""


def published_markdown(
    gradients: pd.DataFrame, psnr: pd.DataFrame, setting: str, missing: Sequence[str] = ()
) -> str:
    """A table for each regulariser and for each weight file, and one of PSNR, with a legend.

    Args:
        gradients: of ``gradient_frame``.
        psnr: of ``psnr_frame``; may be empty.
        setting: a line on images, seeds and the machine.
        missing: what is not measured.
    """
    errors, shares = gradients["reference"], gradients.groupby("regulariser", sort=False)["energy_share"]
    reference = (
        f"The references are within {errors.max():.0e} of their gradients at ten times the tolerances. An energy took "
        + ", ".join(f"{share:.2f} ({name})" for name, share in shares.median().items())
        + " of the seconds of a gradient."
    )
    parts = ["# Gradients of learned regularisers with published weights", setting]
    if missing:
        parts += ["\n".join(["Not measured:", "", *(f"- {line}" for line in missing)])]
    parts += [LEGEND, reference]
    for name, rows in worst_frame(gradients).groupby("regulariser", sort=False):
        count = int(rows["files"].max())
        parts += [f"## `{name}`, {count} weight file" + "s" * (count > 1), SUMMARY, summary_table(rows)]
    for name, rows in gradients.groupby("weights", sort=False):
        parts += [f"## {name}", _table(rows)]
    if len(psnr):
        parts += ["## PSNR", PSNR]
        for images, rows in psnr.groupby("images", sort=False):
            parts += [f"Of {images}:", psnr_table(rows)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def summary_table(rows: pd.DataFrame) -> str:
    """The rows of one regulariser, of ``worst_frame``, in Markdown; rows that lack weight files say so."""
    files = max(row["files"] for row in _records(rows))
    lines = [
        {
            "estimator": f"`{row['estimator']}`"
            + ("" if row["files"] == files else f", {row['files']} of {files} files"),
            "from": row["source"],
            "products": f"{row['applications']:.0f} + {row['vjps']:.0f} = {row['products']:.0f}",
            "error": _spread(row),
            "cosine": _cosine(row["cosine"]),
            "scaled": percent(row["scaled"]),
        }
        for row in _records(rows)
    ]
    return _markdown(lines, 2)


def _table(rows: pd.DataFrame) -> str:
    lines = [
        {
            "estimator": f"`{row['estimator']}`" + ("" if row["converged"] else ", not converged"),
            "seed": f"{row['seed']}",
            "products": f"{row['applications']:.1f} + {row['vjps']:.1f}",
            "error": percent(row["error"]),
            "cosine": _cosine(row["cosine"]),
            "scaled": percent(row["scaled"]),
            "stated": "–"
            if math.isnan(row["stated"])
            else f"{percent(row['stated'])} ({row['basis']}, {'bound' if row['rigorous'] else 'estimate'})",
            "seconds": f"{row['seconds']:.1f}",
        }
        for row in _records(rows)
    ]
    return _markdown(lines, 1)


def psnr_table(psnr: pd.DataFrame) -> str:
    """All weight files, of ``psnr_frame``, in Markdown."""
    lines = [
        {
            "weights": row["weights"],
            "noisy": f"{row['noisy']:.2f}",
            "PSNR (dB)": f"{row['advised']:.3f}",
            "solved further": f"{row['exact']:.3f}",
            "largest difference": f"{row['largest']:.1e}",
            "applications": f"{row['applications']:.0f} + {row['more']:.0f}",
        }
        for row in _records(psnr)
    ]
    return _markdown(lines, 1)


def _spread(row: Mapping[str, Any]) -> str:
    least, most = percent(row["error_least"]), percent(row["error_most"])
    return percent(row["error"]) + ("" if least == most else f" ({least}–{most})")


def _cosine(value: float) -> str:
    return f"{value:.5f}" if value > 0.999 else f"{value:.3f}"


def _records(frame: pd.DataFrame) -> Sequence[Mapping[str, Any]]:
    return frame.to_dict("records")


def _markdown(lines: Sequence[Mapping[str, str]], left: int) -> str:
    align = ("left",) * left + ("right",) * (len(lines[0]) - left)
    return pd.DataFrame(lines).to_markdown(index=False, colalign=align, disable_numparse=True)


def write_report(
    lines: Sequence[GradientLine],
    psnr: Sequence[PsnrLine],
    setting: str,
    missing: Sequence[str],
    out: Path,
) -> list[Path]:
    """Write ``gradients``, ``summary`` and ``psnr`` as CSV and Parquet, ``published.md`` and the figure.

    Args:
        lines: rows on weight files and seeds.
        psnr: of weight files; may be empty, and there are no files of it then.
        setting: a line on images, seeds and the machine.
        missing: what is not measured.
        out: a folder that exists.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    gradients, scores = gradient_frame(lines), psnr_frame(psnr)
    files: dict[str, str | bytes] = {"published.md": published_markdown(gradients, scores, setting, missing)}
    frames = {"gradients": gradients, "summary": worst_frame(gradients)} | (
        {"psnr": scores} if len(scores) else {}
    )
    files |= table_files(frames)
    for name, content in files.items():
        write_atomically(out / name, content)
    with mpl.rc_context(RC):
        mpl.use("agg")
        return [*(out / name for name in files), *save_figure(published_figure(gradients), "published", out)]
