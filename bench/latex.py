"""A printed table as LaTeX that one pastes: booktabs, escaped, no wider than the line."""

from __future__ import annotations

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


def table(text: pd.DataFrame, heading: Heading, columns: str, best: pd.DataFrame | None = None) -> str:
    """A ``table`` float of text; the same frame gives the same text.

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
    rows = []
    for i in range(len(text)):
        cells = [escape(str(cell)) for cell in text.iloc[i]]
        if best is not None:
            cells = [f"\\textbf{{{c}}}" if best.iloc[i, j] else c for j, c in enumerate(cells)]
        rows.append(" & ".join(cells) + r" \\")
    return "\n".join(
        (
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{heading.caption}}}",
            rf"\label{{{heading.label}}}",
            r"\begin{adjustbox}{max width=\linewidth}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(escape(str(title)) for title in text.columns) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{adjustbox}",
            r"\end{table}",
            "",
        )
    )
