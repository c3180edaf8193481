"""A table of cells, each a text and the value that it is sorted by: the model behind HTML, Markdown and terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from ..config.call_syntax import family

MISSING = "—"


@dataclass(frozen=True, slots=True)
class TableCell:
    """A cell.

    Attributes:
        text: printed.
        key: number or text that rows are sorted by; ``None`` if nothing was measured: such rows come last.
        best: printed in bold.
        mark: family whose symbol stands before the text.
        code: the text is a call, set in a fixed width.
    """

    text: str
    key: float | str | None
    best: bool = False
    mark: str = ""
    code: bool = False


@dataclass(frozen=True, slots=True)
class HeaderCell:
    """The head of a column.

    Attributes:
        title: printed.
        number: the cells are numbers, aligned on the right.
        shown: the page shows the column at first.
        header: the cells name their rows.
        hint: shown when a pointer rests on it.
    """

    title: str
    number: bool = False
    shown: bool = True
    header: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """A table that can be sorted and filtered on a page.

    Attributes:
        id: of the HTML element.
        caption: one sentence.
        heads: its columns.
        rows: one cell per head.
        by: title of the column that rows can be filtered by; empty for none.
    """

    id: str
    caption: str
    heads: tuple[HeaderCell, ...] = ()
    rows: tuple[tuple[TableCell, ...], ...] = ()
    by: str = ""

    @property
    def place(self) -> int:
        """Index of the column ``by``."""
        return [head.title for head in self.heads].index(self.by)

    @property
    def choices(self) -> list[str]:
        """Distinct values of the column ``by``, in their order."""
        return list(dict.fromkeys(row[self.place].text for row in self.rows)) if self.by and self.rows else []

    def frame(self) -> pd.DataFrame:
        """The same texts as a data frame; what was not measured is empty."""
        texts = [["" if cell.key is None else cell.text for cell in row] for row in self.rows]
        return pd.DataFrame(texts, columns=[head.title for head in self.heads], dtype=object)

    def markdown(self) -> str:
        """The same table in Markdown."""
        align = ["right" if head.number else "left" for head in self.heads]
        return self.frame().to_markdown(index=False, disable_numparse=True, colalign=align)


def text_cell(text: object, code: bool = False) -> TableCell:
    """A cell of text; a dash if it is empty."""
    return TableCell(str(text) or MISSING, str(text) or None, code=code)


def number_cell(value: object, text: str | None = None) -> TableCell:
    """A cell of a number, printed as ``text`` or by ``three_digits``; a dash for NaN and for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return TableCell(MISSING, None)
    return TableCell(three_digits(value) if text is None else text, sort_key(value))


def solver_cell(solver: str) -> TableCell:
    """A cell of a solver, with the symbol of its family."""
    return TableCell(solver, solver, mark=family(solver), code=True)


def three_digits(value: float) -> str:
    """A number to three digits, and in full from a thousand on."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def sort_key(value: float) -> float | None:
    """Sort key of a number: ``None`` for NaN, and a finite one for infinity, which is the worst and not missing."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else math.copysign(1e308, value)
