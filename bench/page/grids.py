"""Tables of a page: cells with the value they are sorted by."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false, reportCallIssue=false
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..calls import family
from ..columns import COLUMNS, PAST, Column
from ..pareto import COSTS, TRAINING
from ..seeds import past_depth
from ..summary import printable, summarise

MISSING = "—"


@dataclass(frozen=True, slots=True)
class Cell:
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
class Head:
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
class Grid:
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
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    by: str = ""

    @property
    def place(self) -> int:
        """Where the column ``by`` stands."""
        return [head.title for head in self.heads].index(self.by)

    @property
    def choices(self) -> list[str]:
        """The values of the column ``by``, in their order."""
        return list(dict.fromkeys(row[self.place].text for row in self.rows)) if self.by and self.rows else []


def words(text: object, code: bool = False) -> Cell:
    """A cell of text; a dash for none."""
    shown = str(text)
    return Cell(shown or MISSING, shown or None, code=code)


def number(value: object, text: str | None = None) -> Cell:
    """A cell of a number, shown as ``text``, or as ``digits``; a dash for none, and for what is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return Cell(MISSING, None)
    return Cell(digits(value) if text is None else text, _sortable(value))


def digits(value: float) -> str:
    """A number to three digits, and in full from a thousand on."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def call(solver: str) -> Cell:
    """A cell of a solver, with the mark of its family."""
    return Cell(solver, solver, mark=family(solver), code=True)


def _sortable(value: float) -> float | None:
    if math.isnan(value):
        return None
    return (
        value if math.isfinite(value) else math.copysign(1e308, value)
    )  # diverged is the worst, not missing


def results(frame: pd.DataFrame) -> Grid:
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


def past(frame: pd.DataFrame) -> Grid:
    """What becomes of the learned operators past the trained depth."""
    learned = frame[frame["psnr"].notna()]
    caption = "The learned operators past the depth that they were trained at, means over seeds."
    return _summary(learned, PAST, "table-depth", caption, {"jacobian_norm_residual", "equilibrium_residual"})


def _summary(
    frame: pd.DataFrame, columns: tuple[Column, ...], name: str, caption: str, seldom: set[str]
) -> Grid:
    if frame.empty:
        return Grid(name, caption, (), ())
    summary = summarise(frame)
    columns = tuple(c for c in columns if summary[c.name].notna().any())
    heads = [Head("task"), Head("estimator", header=True)]
    heads += [Head(c.title, number=not c.words, shown=c.name not in seldom) for c in columns]
    failed = bool(summary["failed"].any())
    rows = []
    for heading in summary["heading"].unique():
        part = summary[summary["heading"] == heading].reset_index(drop=True)
        text, best = printable(summary, heading, columns)
        for place, (_, row) in enumerate(part.iterrows()):
            cells = [words(heading, code=True), call(row["solver"])]
            for column in columns:
                known = column.title in text.columns and not math.isnan(row[column.name])
                shown = text[column.title].iloc[place] if known else MISSING
                whole = row[f"{column.name}_seeds"] == row["seeds"]
                key = _sortable(float(row[column.name])) if whole else None
                cells.append(Cell(shown, key, known and bool(best[column.title].iloc[place])))
            if failed:
                cells.append(number(int(row["failed"]), str(row["failed"])))
            rows.append(tuple(cells))
    if failed:
        heads.append(Head("seeds that failed", number=True))
    return Grid(name, caption, tuple(heads), tuple(rows), by="task")


def trajectories(seen: pd.DataFrame) -> Grid:
    """The numbers of the plot of PSNR against depth."""
    caption = "PSNR in dB at multiples of the trained depth, means over all seeds of the task."
    if seen.empty:
        return Grid("table-multiples", caption, (), ())
    told = {
        (row["heading"], row["solver"], int(row["multiple"])): (row["psnr"], row["said"])
        for row in past_depth(seen).to_dict("records")
    }
    multiples = sorted(int(value) for value in seen["multiple"].unique())
    heads = (Head("task"), Head("estimator", header=True), *(Head(f"{m} ×", number=True) for m in multiples))
    rows = []
    for heading, solver in dict.fromkeys((h, s) for h, s, _ in told):
        values = [told.get((heading, solver, m), (math.nan, "")) for m in multiples]
        cells = [Cell(said or MISSING, _past_key(psnr, said)) for psnr, said in values]
        rows.append((words(heading, code=True), call(solver), *cells))
    return Grid("table-multiples", caption, heads, tuple(rows), by="task")


def _past_key(psnr: float, said: str) -> float | None:
    """Diverged is the worst; what misses a seed is not ranked."""
    return -1e308 if said.startswith("diverged") else _sortable(psnr)


def fronts(found: pd.DataFrame) -> Grid:
    """The cheapest of each family for each goal: that of ``pareto.table``."""
    caption = "The cheapest solver of each family to each goal."
    costs = {cost.title: cost for cost in (*COSTS, *TRAINING)}
    heads = (
        Head("task"),
        Head("goal"),
        Head("counted in"),
        Head("cheapest of its family", header=True),
        Head("costs", number=True),
        Head("× the cheapest", number=True),
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
                words(row["heading"], code=True),
                words(goal),
                words(row["cost"]),
                Cell(
                    row["solver"] if reached else f"{row['family']}: none is that good",
                    row["solver"] or row["family"],
                    mark=row["family"],
                    code=True,
                ),
                number(row["value"], costs[row["cost"]].show(row["value"]) if reached else None),
                number(row["ratio"], f"{row['ratio']:.3g} ×"),
            )
        )
    return Grid("table-fronts", caption, heads, tuple(rows), by="task")


def failures(frame: pd.DataFrame) -> Grid:
    """The cells that did not end well, and why."""
    heads = (
        Head("task"),
        Head("estimator", header=True),
        Head("seed", number=True),
        Head("ended as"),
        Head("because"),
    )
    rows = [
        (
            words(r["heading"], code=True),
            call(r["solver"]),
            number(int(r["seed"])),
            words(r["status"]),
            words(r["reason"]),
        )
        for r in frame[frame["status"] != "ok"].to_dict("records")
    ]
    return Grid("table-failures", "Cells that did not end well.", heads, tuple(rows))


def listed(
    name: str, caption: str, entries: Sequence[Mapping[str, object]], heads: Sequence[tuple[Head, str]]
) -> Grid:
    """A table of JSON objects: a column for each head whose key some of them have."""
    known = [(head, key) for head, key in heads if any(entry.get(key) not in (None, "") for entry in entries)]
    rows = tuple(
        tuple(
            number(entry.get(key)) if head.number else words("" if entry.get(key) is None else entry[key])
            for head, key in known
        )
        for entry in entries
    )
    return Grid(name, caption, tuple(head for head, _ in known), rows)
