"""A table of text as LaTeX: booktabs, escaped, no wider than a line of the page."""

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
"""Columns that fit side by side on a page of text."""
_NEGATIVE = re.compile(r"(?<![\w.)])-(?=\d)")
"""A minus before a number; neither the hyphen of a word nor the sign in 1e-10."""


@dataclass(frozen=True, slots=True)
class Heading:
    """Caption of a table, in LaTeX, and the label for ``\\ref``."""

    caption: str
    label: str


def escape(text: str) -> str:
    """Plain text as LaTeX. Characters without a command here stay: non-Latin ones need LuaLaTeX or XeLaTeX."""
    return "".join(COMMANDS.get(character, character) for character in _NEGATIVE.sub("−", text))


def latex_table(text: pd.DataFrame, heading: Heading, columns: str, best: pd.DataFrame | None = None) -> str:
    """A ``table`` float; the same frame gives the same text.

    A table of more than ``WIDEST`` columns is continued below, in the same float, with its first column repeated:
    shrunk to the width of a line it could not be read.

    Args:
        text: plain text, cells and titles; both are escaped here.
        heading: caption and label.
        columns: alignment of each column, ``lrr``.
        best: of the shape of ``text``; true for cells in bold.

    Raises:
        ValueError: ``columns`` does not align each column.
    """
    if len(columns) != len(text.columns):
        raise ValueError(f"{len(columns)} alignments for {len(text.columns)} columns")
    escaped = text.reset_index(drop=True).astype(str).map(escape).rename(columns=escape)
    bold = pd.DataFrame("", index=escaped.index, columns=escaped.columns)
    if best is not None:
        bold[best.to_numpy(bool)] = "textbf:--rwrap;"
    tables = [
        # The styler escapes neither <, > and | nor anything beyond ASCII: its input is escaped already.
        escaped.iloc[:, part]
        .style.hide(axis="index")
        .apply(lambda shown: bold[shown.columns], axis=None)
        .to_latex(hrules=True, column_format="".join(columns[index] for index in part))
        for part in _parts(len(text.columns))
    ]
    boxes = [
        f"\\begin{{adjustbox}}{{max width=\\linewidth}}\n{table}\\end{{adjustbox}}\n" for table in tables
    ]
    head = ["\\begin{table}", "\\centering", f"\\caption{{{heading.caption}}}", f"\\label{{{heading.label}}}"]
    return "\n".join([*head, "\\par\\medskip\n".join(boxes) + "\\end{table}", ""])


def _parts(columns: int) -> list[list[int]]:
    """Columns of each part of a table: the first one in each, the others shared out in their order."""
    others = list(range(1, columns))
    number = max(1, math.ceil(len(others) / (WIDEST - 1)))
    each = math.ceil(len(others) / number)
    return [[0, *others[i * each : (i + 1) * each]] for i in range(number)]
