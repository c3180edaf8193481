"""Tables of a page: cells with the value they are sorted by."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false, reportCallIssue=false
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ...analysis.metrics import COLUMNS, PAST, Metric
from ...analysis.over_seeds import past_depth
from ...analysis.pareto import COSTS, TRAINING
from ...config.call_syntax import family
from ..summary import printable, summarise

MISSING = "—"


@dataclass(frozen=True, slots=True)
class TableCell:
    """What stands in a cell.

    Attributes:
        text: as it is read.
        key: what it is sorted by, a number or a text; ``None`` for what was not measured, which comes last.
        best: it is marked as the best of its task.
        mark: the family whose mark stands before it.
        code: it is a call, set in a fixed width.
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
        title: as it is read.
        number: its cells are numbers, set to the right.
        shown: it is shown unless one chooses otherwise.
        header: its cells name their rows.
    """

    title: str
    number: bool = False
    shown: bool = True
    header: bool = False


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """A table that can be sorted and filtered.

    Attributes:
        id: of the element.
        caption: one sentence.
        heads: its columns.
        rows: a cell for each head.
        by: title of the column whose values can be chosen from a list; empty for none.
    """

    id: str
    caption: str
    heads: tuple[HeaderCell, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    by: str = ""

    @property
    def place(self) -> int:
        """Where the column ``by`` stands."""
        return [head.title for head in self.heads].index(self.by)

    @property
    def choices(self) -> list[str]:
        """The values of the column ``by``, in their order."""
        return list(dict.fromkeys(row[self.place].text for row in self.rows)) if self.by and self.rows else []


def text_cell(text: object, code: bool = False) -> TableCell:
    """A cell of text; a dash for none."""
    shown = str(text)
    return TableCell(shown or MISSING, shown or None, code=code)


def number_cell(value: object, text: str | None = None) -> TableCell:
    """A cell of a number, shown as ``text``, or as ``three_digits``; a dash for none, and for what is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return TableCell(MISSING, None)
    return TableCell(three_digits(value) if text is None else text, _sortable(value))


def three_digits(value: float) -> str:
    """A number to three digits, and in full from a thousand on."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def solver_cell(solver: str) -> TableCell:
    """A cell of a solver, with the mark of its family."""
    return TableCell(solver, solver, mark=family(solver), code=True)


def _sortable(value: float) -> float | None:
    if math.isnan(value):
        return None
    return (
        value if math.isfinite(value) else math.copysign(1e308, value)
    )  # diverged is the worst, not missing


def results_table(frame: pd.DataFrame) -> HtmlTable:
    """Everything measured of each solver, a row a task and solver."""
    seldom = {
        "ssim",
        "ssim_equilibrium",
        "certified",
        "hypergradient_cosine",
        "residual",
        "peak_mib",
        "peak_requested_mib",
        "floor_ratio",
    }
    return _summary(
        frame, COLUMNS, "table-results", "Every estimator on every task, means over seeds.", seldom
    )


def past(frame: pd.DataFrame) -> HtmlTable:
    """What becomes of the learned operators past the trained depth."""
    learned = frame[frame["psnr"].notna()]
    caption = "The learned operators past the depth that they were trained at, means over seeds."
    return _summary(learned, PAST, "table-depth", caption, {"jacobian_norm_residual", "equilibrium_residual"})


def _summary(
    frame: pd.DataFrame, columns: tuple[Metric, ...], name: str, caption: str, seldom: set[str]
) -> HtmlTable:
    if frame.empty:
        return HtmlTable(name, caption, (), ())
    summary = summarise(frame)
    columns = tuple(c for c in columns if summary[c.name].notna().any())
    heads = [HeaderCell("task"), HeaderCell("estimator", header=True)]
    heads += [HeaderCell(c.title, number=not c.words, shown=c.name not in seldom) for c in columns]
    failed = bool(summary["failed"].any())
    rows = []
    for heading in summary["heading"].unique():
        part = summary[summary["heading"] == heading].reset_index(drop=True)
        text, best = printable(summary, heading, columns)
        for place, (_, row) in enumerate(part.iterrows()):
            cells = [text_cell(heading, code=True), solver_cell(row["solver"])]
            for column in columns:
                known = column.title in text.columns and not math.isnan(row[column.name])
                shown = text[column.title].iloc[place] if known else MISSING
                whole = row[f"{column.name}_seeds"] == row["seeds"]
                key = _sortable(float(row[column.name])) if whole else None
                cells.append(TableCell(shown, key, known and bool(best[column.title].iloc[place])))
            if failed:
                cells.append(number_cell(int(row["failed"]), str(row["failed"])))
            rows.append(tuple(cells))
    if failed:
        heads.append(HeaderCell("seeds that failed", number=True))
    return HtmlTable(name, caption, tuple(heads), tuple(rows), by="task")


def trajectory_table(seen: pd.DataFrame) -> HtmlTable:
    """The numbers of the plot of PSNR against depth."""
    caption = "PSNR in dB at multiples of the trained depth, means over all seeds of the task."
    if seen.empty:
        return HtmlTable("table-multiples", caption, (), ())
    told = {
        (row["heading"], row["solver"], int(row["multiple"])): (row["psnr"], row["said"])
        for row in past_depth(seen).to_dict("records")
    }
    multiples = sorted(int(value) for value in seen["multiple"].unique())
    heads = (
        HeaderCell("task"),
        HeaderCell("estimator", header=True),
        *(HeaderCell(f"{m} ×", number=True) for m in multiples),
    )
    rows = []
    for heading, solver in dict.fromkeys((h, s) for h, s, _ in told):
        values = [told.get((heading, solver, m), (math.nan, "")) for m in multiples]
        cells = [TableCell(said or MISSING, _past_key(psnr, said)) for psnr, said in values]
        rows.append((text_cell(heading, code=True), solver_cell(solver), *cells))
    return HtmlTable("table-multiples", caption, heads, tuple(rows), by="task")


def _past_key(psnr: float, said: str) -> float | None:
    """Diverged is the worst; what misses a seed is not ranked."""
    return -1e308 if said.startswith("diverged") else _sortable(psnr)


def fronts(found: pd.DataFrame) -> HtmlTable:
    """The cheapest of each family for each goal: that of ``pareto.table``."""
    caption = "The cheapest solver of each family to each goal."
    costs = {cost.title: cost for cost in (*COSTS, *TRAINING)}
    heads = (
        HeaderCell("task"),
        HeaderCell("goal"),
        HeaderCell("counted in"),
        HeaderCell("cheapest of its family", header=True),
        HeaderCell("costs", number=True),
        HeaderCell("× the cheapest", number=True),
    )
    rows = []
    for row in found.to_dict("records"):
        reached = bool(row["solver"])
        goal = (
            "PSNR within 0.1 dB of the best"
            if row["goal"] == "psnr"
            else f"error ≤ {100 * float(row['goal']):g} %"
        )
        rows.append(
            (
                text_cell(row["heading"], code=True),
                text_cell(goal),
                text_cell(row["cost"]),
                TableCell(
                    row["solver"] if reached else f"{row['family']}: none is that good",
                    row["solver"] or row["family"],
                    mark=row["family"],
                    code=True,
                ),
                number_cell(row["value"], costs[row["cost"]].show(row["value"]) if reached else None),
                number_cell(row["ratio"], f"{row['ratio']:.3g} ×"),
            )
        )
    return HtmlTable("table-fronts", caption, heads, tuple(rows), by="task")


def failures(frame: pd.DataFrame) -> HtmlTable:
    """The cells that did not end well, and why."""
    heads = (
        HeaderCell("task"),
        HeaderCell("estimator", header=True),
        HeaderCell("seed", number=True),
        HeaderCell("ended as"),
        HeaderCell("because"),
    )
    rows = [
        (
            text_cell(r["heading"], code=True),
            solver_cell(r["solver"]),
            number_cell(int(r["seed"])),
            text_cell(r["status"]),
            text_cell(r["reason"]),
        )
        for r in frame[frame["status"] != "ok"].to_dict("records")
    ]
    return HtmlTable("table-failures", "Cells that did not end well.", heads, tuple(rows))


def listed(
    name: str, caption: str, entries: Sequence[Mapping[str, object]], heads: Sequence[tuple[HeaderCell, str]]
) -> HtmlTable:
    """A table of JSON objects: a column for each head whose key some of them have."""
    known = [(head, key) for head, key in heads if any(entry.get(key) not in (None, "") for entry in entries)]
    rows = tuple(
        tuple(
            number_cell(entry.get(key))
            if head.number
            else text_cell("" if entry.get(key) is None else entry[key])
            for head, key in known
        )
        for entry in entries
    )
    return HtmlTable(name, caption, tuple(head for head, _ in known), rows)
