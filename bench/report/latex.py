"""A printed table as LaTeX that one pastes: booktabs, escaped, no wider than the line."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import pandas as pd

NEEDS = "% needs \\usepackage{booktabs} and \\usepackage{adjustbox}\n"
COMMANDS = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "—": "--",
    "–": "--",
    "‖": r"$\|$",
    "→": r"$\to$",
    "²": "$^2$",
    "σ": r"$\sigma$",
    "λ": r"$\lambda$",
    "θ": r"$\theta$",
    "ℓ": r"$\ell$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "−": "$-$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    # In LaTeX's oldest font encoding these print as other characters.
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
}
WIDEST = 9
"""Columns side by side that can still be read on a page of text."""
_NEGATIVE = re.compile(r"(?<![\w.)])-(?=\d)")
"""A minus before a number; not the hyphen of a word, and not the sign in 1e-10."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above a table and is cited: a caption in LaTeX, and the label of ``\\ref``."""

    caption: str
    label: str


def escape(text: str) -> str:
    """Plain text as LaTeX. What has no command here is left, and needs LuaLaTeX or XeLaTeX if it is not Latin."""
    text = _NEGATIVE.sub("−", text)
    return "".join(COMMANDS.get(character, character) for character in text)


def latex_table(text: pd.DataFrame, heading: Heading, columns: str, best: pd.DataFrame | None = None) -> str:
    """A ``table`` float of text; the same frame gives the same text.

    A table of more than ``WIDEST`` columns goes on below, in the same float, with its first column again: shrunk to the
    line as one it could not be read.

    Args:
        text: plain text, cells and titles; they are escaped here.
        heading: LaTeX already.
        columns: the alignment of each, ``lrr``.
        best: of the shape of ``text``; what is true is set in bold.

    Raises:
        ValueError: ``columns`` does not align each column.
    """
    if len(columns) != len(text.columns):
        raise ValueError(f"{len(columns)} alignments for {len(text.columns)} columns")
    bold = best if best is not None else pd.DataFrame(False, index=text.index, columns=text.columns)
    parts: list[str] = []
    for shown in _parts(len(text.columns)):
        rows = [[escape(str(cell)) for cell in text.iloc[i, shown]] for i in range(len(text))]
        marked = [
            [f"\\textbf{{{cell}}}" if bold.iloc[i, j] else cell for j, cell in zip(shown, row, strict=True)]
            for i, row in enumerate(rows)
        ]
        parts += [
            *([r"\par\medskip"] if parts else []),
            r"\begin{adjustbox}{max width=\linewidth}",
            rf"\begin{{tabular}}{{{''.join(columns[j] for j in shown)}}}",
            r"\toprule",
            " & ".join(escape(str(text.columns[j])) for j in shown) + r" \\",
            r"\midrule",
            *(" & ".join(row) + r" \\" for row in marked),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{adjustbox}",
        ]
    head = [r"\begin{table}", r"\centering", rf"\caption{{{heading.caption}}}", rf"\label{{{heading.label}}}"]
    return "\n".join([*head, *parts, r"\end{table}", ""])


def _parts(columns: int) -> list[list[int]]:
    """The columns of each part of a table: the first again in each, the others shared out in their order."""
    others = list(range(1, columns))
    number = max(1, math.ceil(len(others) / (WIDEST - 1)))
    each = math.ceil(len(others) / number)
    return [[0, *others[i * each : (i + 1) * each]] for i in range(number)]
