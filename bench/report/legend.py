"""Explanations of columns, below printed tables and in docs/tables.md, from the registry of metrics."""

from __future__ import annotations

from collections.abc import Container

from ..analysis import metrics
from ..analysis.metric import Metric, Table

TITLES = {Table.RESULTS: "Results", Table.DEPTH: "Past the trained depth"}


def legend(table: Table, names: Container[str]) -> str:
    """A Markdown list that explains the columns of a table; of metrics in ``names`` alone."""
    used = (metric for metric in metrics.in_table(table) if metric.name in names)
    return "".join(f"- *{metric.heading(table)}*: {metric.explanation}\n" for metric in used)


def columns_markdown() -> str:
    """The generated tables of docs/tables.md: every column of the printed tables, then the others of ``cells.csv``."""
    parts = []
    for table in Table:
        rows = [_row(f"**{m.heading(table)}**", m) for m in metrics.in_table(table)]
        parts += [f"### {TITLES[table]}", "", "| column | in `cells.csv` | |", "|---|---|---|", *rows, ""]
    parts += ["### Further columns of `cells.csv`", "", "| in `cells.csv` | unit | |", "|---|---|---|"]
    others = [metric for metric in metrics.METRICS if metric.results is None and metric.depth is None]
    return "\n".join([*parts, *(f"| `{m.name}` | {m.unit} | {_cell(m.explanation)} |" for m in others)])


def _row(heading: str, metric: Metric) -> str:
    better = f" {metric.better.capitalize()} is better." if metric.better else ""
    return f"| {heading} | `{metric.name}` | {_cell(metric.explanation + better)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
