"""Tables of the page of a run."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from ...analysis import metrics
from ...analysis.metric import Table
from ...analysis.over_seeds import past_depth
from ...analysis.pareto import COSTS, TRAINING
from ..cells import MISSING, HeaderCell, HtmlTable, TableCell, number_cell, solver_cell, sort_key, text_cell
from ..summary import printable, summarise

TASK, ESTIMATOR = HeaderCell("task"), HeaderCell("estimator", header=True)


def results_table(summary: pd.DataFrame) -> HtmlTable:
    """Everything measured of each solver, a row per task and solver; ``summary`` is that of ``summarise``."""
    return _summary(
        summary, Table.RESULTS, "table-results", "Every estimator on every task, means over seeds."
    )


def past(frame: pd.DataFrame) -> HtmlTable:
    """The learned operators iterated past the trained depth."""
    caption = "The learned operators past the depth that they were trained at, means over seeds."
    return _summary(summarise(frame[frame["psnr"].notna()]), Table.DEPTH, "table-depth", caption)


def _summary(summary: pd.DataFrame, table: Table, name: str, caption: str) -> HtmlTable:
    if summary.empty:
        return HtmlTable(name, caption)
    columns = [metric for metric in metrics.in_table(table) if summary[metric.name].notna().any()]
    failed = bool(summary["failed"].any())
    heads = [TASK, ESTIMATOR]
    for metric in columns:
        column = metric.column(table)
        shown = column is not None and not column.hidden
        hint = metric.explanation.replace("`", "")
        heads.append(HeaderCell(metric.heading(table), number=not metric.words, shown=shown, hint=hint))
    heads += [HeaderCell("seeds that failed", number=True)] if failed else []
    rows = []
    for heading, part in summary.groupby("heading", sort=False):
        text, best = printable(summary, heading, table)
        for index, row in enumerate(part.to_dict("records")):
            cells = [text_cell(heading, code=True), solver_cell(row["solver"])]
            for metric in columns:
                title, value = metric.heading(table), float(row[metric.name])
                if math.isnan(value):
                    cells.append(TableCell(MISSING, None))
                    continue
                complete = row[f"{metric.name}_seeds"] == row["seeds"]  # others are not ranked
                key = sort_key(value) if complete else None
                cells.append(TableCell(text[title].iloc[index], key, bool(best[title].iloc[index])))
            cells += [number_cell(int(row["failed"]), str(row["failed"]))] if failed else []
            rows.append(tuple(cells))
    return HtmlTable(name, caption, tuple(heads), tuple(rows), by="task")


def trajectory_table(curves: pd.DataFrame) -> HtmlTable:
    """PSNR at each multiple of the trained depth: the numbers of the plot."""
    caption = "PSNR in dB at multiples of the trained depth, means over all seeds of the task."
    if curves.empty:
        return HtmlTable("table-multiples", caption)
    multiples = sorted(int(value) for value in curves["multiple"].unique())
    heads = (TASK, ESTIMATOR, *(HeaderCell(f"{multiple} ×", number=True) for multiple in multiples))
    rows = []
    for (heading, solver), part in past_depth(curves).groupby(["heading", "solver"], sort=False):
        known = {int(row["multiple"]): (row["psnr"], row["said"]) for row in part.to_dict("records")}
        cells = [_depth_cell(*known.get(multiple, (math.nan, ""))) for multiple in multiples]
        rows.append((text_cell(heading, code=True), solver_cell(solver), *cells))
    return HtmlTable("table-multiples", caption, heads, tuple(rows), by="task")


def _depth_cell(psnr: float, text: str) -> TableCell:
    """Diverged is the worst; a mean that misses a seed is not ranked."""
    return TableCell(text or MISSING, -1e308 if text.startswith("diverged") else sort_key(psnr))


def fronts(table: pd.DataFrame) -> HtmlTable:
    """The cheapest solver of each family for each goal: rows of ``pareto.frontier_table``."""
    axes = {cost.title: cost for cost in (*COSTS, *TRAINING)}
    heads = (
        TASK,
        HeaderCell("goal"),
        HeaderCell("counted in"),
        HeaderCell("cheapest of its family", header=True),
        HeaderCell("costs", number=True),
        HeaderCell("× the cheapest", number=True),
    )
    rows = []
    for row in table.to_dict("records"):
        solver, name = row["solver"], row["family"]
        error = row["goal"] != "psnr"
        goal = f"error ≤ {100 * float(row['goal']):g} %" if error else "PSNR within 0.1 dB of the best"
        cheapest = solver or f"{name}: none is that good"
        rows.append(
            (
                text_cell(row["heading"], code=True),
                text_cell(goal),
                text_cell(row["cost"]),
                TableCell(cheapest, solver or name, mark=name, code=True),
                number_cell(row["value"], axes[row["cost"]].show(row["value"]) if solver else None),
                number_cell(row["ratio"], f"{row['ratio']:.3g} ×"),
            )
        )
    caption = "The cheapest solver of each family to each goal."
    return HtmlTable("table-fronts", caption, heads, tuple(rows), by="task")


def failures(frame: pd.DataFrame) -> HtmlTable:
    """The cells that failed, and why."""
    heads = (
        TASK,
        ESTIMATOR,
        HeaderCell("seed", number=True),
        HeaderCell("ended as"),
        HeaderCell("because"),
    )
    rows = [
        (
            text_cell(row["heading"], code=True),
            solver_cell(row["solver"]),
            number_cell(int(row["seed"])),
            text_cell(row["status"]),
            text_cell(row["reason"]),
        )
        for row in frame[frame["status"] != "ok"].to_dict("records")
    ]
    return HtmlTable("table-failures", "Cells that did not end well.", heads, tuple(rows))


def listed(
    name: str, caption: str, entries: Sequence[Mapping[str, object]], heads: Sequence[tuple[HeaderCell, str]]
) -> HtmlTable:
    """A table of JSON objects: a column for each head whose key some object has."""
    used = [(head, key) for head, key in heads if any(entry.get(key) not in (None, "") for entry in entries)]
    rows = [
        tuple(
            number_cell(entry.get(key))
            if head.number
            else text_cell("" if entry.get(key) is None else entry[key])
            for head, key in used
        )
        for entry in entries
    ]
    return HtmlTable(name, caption, tuple(head for head, _ in used), tuple(rows))
