"""The matrix as tables: Markdown, CSV and LaTeX, the best value of a task marked."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd

from ..analysis.metrics import PAST
from ..analysis.over_seeds import column, known_to
from ..measurement.hypergradient import TOLERANCE
from ..utils.atomic_files import write_atomically
from . import bibliography, latex
from .summary import printable, summarise


def table_markdown(text: pd.DataFrame, best: pd.DataFrame) -> str:
    """A pipe table, the best in bold."""
    marked = text.where(~best[list(text.columns)], "**" + text + "**")
    align = ("left", *("right",) * (len(text.columns) - 1))
    return marked.to_markdown(index=False, colalign=align, disable_numparse=True) + "\n"


def slug(heading: str) -> str:
    """A heading as the name of a file."""
    return re.sub(r"[^0-9A-Za-z]+", "-", heading).strip("-")


def to_latex(text: pd.DataFrame, best: pd.DataFrame, heading: str) -> str:
    """A booktabs table, the best in bold. Needs ``\\usepackage{booktabs}`` and ``adjustbox``.

    A comment above it says what to cite for its rows, by the keys of ``references.bib``.
    """
    names = bibliography.named([heading, *text["solver"]])
    keys = ",".join(work.key for work in bibliography.works(names))
    cited = f"% its sources, in references.bib: \\cite{{{keys}}}\n" if keys else ""
    caption = f"Estimators on {latex.escape(heading)}: mean $\\pm$ spread over seeds, the best in bold."
    above = latex.Heading(caption, f"tab:{slug(heading)}")
    align = "l" + "r" * (len(text.columns) - 1)
    return latex.NEEDS + cited + latex.latex_table(text, above, align, best[list(text.columns)])


def write_tables(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """Write ``tables.md``, ``summary.csv``, ``cells.csv``, ``references.bib`` and a ``.tex`` for each task and size.

    The same frame gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarise(frame)
    written = {"summary.csv": summary.to_csv(index=False), "cells.csv": frame.to_csv(index=False)}
    parts = []
    for heading in summary["heading"].unique():
        text, best = printable(summary, heading)
        part = frame[frame["heading"] == heading]
        parts.append(f"## {heading}\n\n{_facts(part)}\n\n{table_markdown(text, best)}")
        if part["psnr"].notna().any():
            parts.append(f"Past the trained depth:\n\n{table_markdown(*printable(summary, heading, PAST))}")
        written[f"{slug(heading)}.tex"] = to_latex(text, best, heading)
    failures = frame[frame["status"] != "ok"]
    if len(failures):
        listed = failures[["heading", "solver", "seed", "status", "reason"]]
        listed = listed.rename(columns={"heading": "task"}).to_markdown(index=False)
        parts.append(f"## Cells that failed\n\n{listed}\n")
    names = bibliography.named([*frame["solver"].unique(), *frame["task"].unique()])
    written["references.bib"] = bibliography.to_bibtex(bibliography.works(names))
    written["tables.md"] = "\n".join(parts) + _LEGEND + _SOURCES + bibliography.sources_markdown(names)
    for name, content in written.items():
        write_atomically(folder / name, content)
    return [folder / name for name in written]


def _facts(part: pd.DataFrame) -> str:
    contraction, before = part["contraction"].mean(), part["psnr_measurement"].mean()
    if math.isnan(contraction):
        known = "No bound on L is known in advance: outside the theory"
    elif contraction >= 1:
        known = f"L ≤ {contraction:.3f} only: outside the theory"
    else:
        known = f"L ≤ {contraction:.3f}"
    facts = [known]
    if not math.isnan(before):
        facts.append(f"The measurement itself has {before:.2f} dB")
    facts.append(_reference(part))
    return ". ".join(facts) + "."


WORDS = {"certificate": "a proven bound", "estimate": "an estimate"}
"""What the error of a reference rests on."""


def _reference(part: pd.DataFrame) -> str:
    """How good the reference gradient itself is, by what the records hold."""
    if part["hypergradient_error"].isna().all():
        return "There is no reference gradient"
    told = column(part, "oracle_error")
    if not told.map(math.isfinite).any():
        return f"Of the reference gradient the residuals are known, below {TOLERANCE:.0e}, and not its error"
    basis = sorted({word for told in part["oracle_basis"] for word in str(told).split("; ") if word})
    by = f", by {' and '.join(WORDS[word] for word in basis)}" if basis else ""
    return f"The reference gradient is itself within {known_to(part):.1e}{by}"


_LEGEND = """
---
PSNR and SSIM of the test images at the depth that was trained, and after running the learned operator to
its equilibrium (— where none was found, to ten times the tolerance of the profile); the training loss and the PSNR of
validation images there. *Gradient error* and *cosine*: the solver's gradient at the initial parameters against a
float64 implicit gradient whose two residuals are below 1e-10; what is known of its own error stands above each table,
and smaller errors are neither told nor ranked (— where there is no reference). In brackets the least and the largest
over seeds and draws. *Residual*: ‖T(x) − x‖ / ‖T(x)‖ of the solver's reconstruction there.
*Applications* and *VJPs* of T in a training step; what was made on a part of the batch counts as that part.
*Tape*: bytes that are kept from the forward pass for the way back, by autograd and, with `certified`, beside it;
*peak*: the most alive at once, on a GPU in the blocks of its allocator, and *peak requested* before it rounds to them.
*Step*: median seconds of a training step; *× floor*: its ratio to a bare loop that does the same work, median of
interleaved pairs. ± is the standard deviation over seeds, and for the two timings
the interquartile range over rounds. “(1 of 2)”: one of two seeds has a value, and the mean is that of this one.
Best of a task in bold, never where a seed is missing; of PSNR, SSIM and loss with all that lies behind by no more
than the standard deviation of that difference over the seeds, and none in bold where there is one seed.

*Past the trained depth*: the learned operator iterated 10 and 100 times as long as it was trained (— where the
profile leaves no time), and at the equilibrium that Anderson acceleration finds, with its residual
‖T(x) − x‖ / ‖T(x)‖; where it finds none, where plain iteration or Anderson ended, whichever has the smaller residual.
*T at its equilibrium*: ‖J‖ there by power iteration on JᵀJ, an estimate from below; *± rel.* is that iteration's own
residual.
*Residual stalls*: it shrinks by less than half from 10 to 100 times the depth. *Plain iteration stays*: from the
equilibrium it does not leave again.
"""
_SOURCES = """
*Sources*, by their keys in `references.bib`:

"""
