"""Tables of a run in Markdown, CSV and LaTeX, the best value of a task in bold."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math
import re

import pandas as pd

from ..analysis.contraction import contraction_facts, contractions
from ..analysis.metric import Table
from ..analysis.over_seeds import column, known_to
from ..measurement.hypergradient import TOLERANCE
from . import bibliography, latex
from .legend import legend
from .summary import printable

BASES = {"certificate": "a proven bound", "estimate": "an estimate"}
"""Values of ``oracle_basis`` in words."""


def table_markdown(text: pd.DataFrame, best: pd.DataFrame) -> str:
    """A Markdown table, the best in bold."""
    marked = text.where(~best[list(text.columns)], "**" + text + "**")
    align = ("left", *("right",) * (len(text.columns) - 1))
    return marked.to_markdown(index=False, colalign=align, disable_numparse=True) + "\n"


def slug(heading: str) -> str:
    """A heading as the name of a file."""
    return re.sub(r"[^0-9A-Za-z]+", "-", heading).strip("-")


def to_latex(text: pd.DataFrame, best: pd.DataFrame, heading: str) -> str:
    """A booktabs table, the best in bold. Needs ``\\usepackage{booktabs}`` and ``adjustbox``.

    A comment above it has the ``\\cite`` of its rows, by the keys of ``references.bib``.
    """
    names = bibliography.cited_by([heading, *text["solver"]])
    keys = ",".join(work.key for work in bibliography.works(names))
    cited = f"% its sources, in references.bib: \\cite{{{keys}}}\n" if keys else ""
    caption = f"Estimators on {latex.escape(heading)}: mean $\\pm$ spread over seeds, the best in bold."
    above = latex.Heading(caption, f"tab:{slug(heading)}")
    align = "l" + "r" * (len(text.columns) - 1)
    return latex.NEEDS + cited + latex.latex_table(text, above, align, best[list(text.columns)])


def render_tables(frame: pd.DataFrame, summary: pd.DataFrame) -> dict[str, str]:
    """``tables.md``, ``summary.csv``, ``cells.csv``, ``references.bib``, and a ``.tex`` for each task and size.

    Args:
        frame: of ``tidy.tidy``.
        summary: of ``summary.summarise``, of that frame.

    Returns:
        Contents by path, relative to the folder of the run. The same frame gives the same contents.
    """
    files = {"summary.csv": summary.to_csv(index=False), "cells.csv": frame.to_csv(index=False)}
    parts = []
    for heading, part in frame.groupby("heading", sort=False):
        text, best = printable(summary, heading)
        parts.append(f"## {heading}\n\n{_facts(part)}\n\n{table_markdown(text, best)}")
        if part["psnr"].notna().any():
            past = table_markdown(*printable(summary, heading, Table.DEPTH))
            parts.append(f"Past the trained depth:\n\n{past}")
        files[f"{slug(heading)}.tex"] = to_latex(text, best, heading)
    failures = frame[frame["status"] != "ok"]
    if len(failures):
        listed = failures[["heading", "solver", "seed", "status", "reason"]]
        listed = listed.rename(columns={"heading": "task"}).to_markdown(index=False)
        parts.append(f"## Cells that failed\n\n{listed}\n")
    names = bibliography.cited_by([*frame["solver"].unique(), *frame["task"].unique()])
    files["references.bib"] = bibliography.to_bibtex(bibliography.works(names))
    sources = f"\n*Sources*, by their keys in `references.bib`:\n\n{bibliography.sources_markdown(names)}"
    files["tables.md"] = "\n".join([*parts, _legend(summary)]) + sources
    return {f"tables/{name}": content for name, content in files.items()}


def _facts(part: pd.DataFrame) -> str:
    facts, before = [contraction_facts(contractions(part))], part["psnr_measurement"].mean()
    if not math.isnan(before):
        facts.append(f"The measurement itself has {before:.2f} dB")
    return ". ".join([*facts, _reference(part)]) + "."


def _reference(part: pd.DataFrame) -> str:
    """How exact the reference gradient itself is."""
    if part["hypergradient_error"].isna().all():
        return "There is no reference gradient"
    if not column(part, "oracle_error").map(math.isfinite).any():
        return f"Of the reference gradient the residuals are known, below {TOLERANCE:.0e}, and not its error"
    bases = sorted({basis for bases in part["oracle_basis"] for basis in str(bases).split("; ") if basis})
    by = f", by {' and '.join(BASES[basis] for basis in bases)}" if bases else ""
    return f"The reference gradient is itself within {known_to(part):.1e}{by}"


def _legend(summary: pd.DataFrame) -> str:
    known = {str(name) for name in summary.columns[summary.notna().any()]}
    text = f"---\n{legend(Table.RESULTS, known)}\n{_RULES}"
    past = legend(Table.DEPTH, known)
    return f"{text}\nPast the trained depth:\n\n{past}" if "psnr" in known else text


_RULES = """\
— was not measured. ± is the standard deviation over seeds, unless a column says otherwise. “(1 of 2)”: the mean of the
one seed of two that has a value. In brackets behind a gradient error: the least and the largest over seeds and draws.
Errors below that of the reference, which is above each table, print as “< …” and are not ranked. The best of a task is
in bold, never if a seed is missing; for PSNR, SSIM and loss also every solver that is behind by no more than the
standard deviation of that difference over the seeds, and none if there is one seed.
"""
