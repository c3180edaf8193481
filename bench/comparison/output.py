"""A comparison as Markdown, CSV, JSON and a page; the same records give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..utils.json_values import finite
from . import tables
from .change import Aspect, regressions
from .compare import Comparison
from .pairing import run_description


def comparison_markdown(comparisons: Sequence[Comparison]) -> str:
    """Descriptions of the runs, verdicts, and the numbers that have moved; the CSV has the others."""
    lines = [f"# {_title(comparisons)}", ""]
    for run in _runs(comparisons):
        lines += [f"- **{run['label']}**", *(f"  - {line}" for line in run["description"]), ""]
    for name, comparison in zip(tables.reference_names(comparisons), comparisons, strict=True):
        if comparison.warnings:
            lines += [f"Against {name}:", "", *(f"- {line}" for line in comparison.warnings), ""]
    lines += ["## Verdicts", "", tables.verdicts(comparisons).markdown(), ""]
    overall = tables.overall(comparisons)
    if overall.rows:
        lines += ["## Time over all cells", "", overall.markdown(), ""]
    for part in Aspect:
        table = tables.comparison_table(comparisons, part, moved_only=True)
        if table.rows:
            lines += [f"## {tables.TITLES[part]}", "", table.markdown(), ""]
        further = len(tables.compared_rows(comparisons, part)) - len(table.rows)
        if further:
            lines += [f"{further} further rows of {part}: the same, or noise.", ""]
    return "\n".join(lines)


def comparison_json(comparisons: Sequence[Comparison], failing: Iterable[Aspect]) -> str:
    """Everything as one JSON object on one line; ``null`` for numbers that are not finite.

    Keys: ``run`` (label and description), and ``references``, each with ``label``, ``run_description``, ``warnings``,
    ``held``, ``overall``, ``drift``, ``changes`` and ``regressed``, the number of changes that regress in ``failing``.
    """
    parts = list(failing)
    run, *references = _runs(comparisons)
    contents = [
        reference
        | {
            "warnings": list(comparison.warnings),
            "held": [asdict(column) for column in comparison.columns],
            "overall": [asdict(means) for means in comparison.overall],
            "drift": asdict(comparison.drift) if comparison.drift else None,
            "changes": [asdict(change) for change in comparison.changes],
            "regressed": len(regressions(comparison.changes, parts)),
        }
        for reference, comparison in zip(references, comparisons, strict=True)
    ]
    everything = finite({"run": run, "references": contents})
    return json.dumps(everything, sort_keys=True, ensure_ascii=False, allow_nan=False)


def comparison_page(comparisons: Sequence[Comparison]) -> bytes:
    """All rows on a page in UTF-8, to be sorted and filtered."""
    # Here, not above: no other output needs the renderer of pages.
    from ..report.page import render

    run, *references = _runs(comparisons)
    names = tables.reference_names(comparisons)
    parts = {str(part): tables.comparison_table(comparisons, part) for part in Aspect}
    page = {
        "run": run,
        "references": [r | {"warnings": c.warnings} for r, c in zip(references, comparisons, strict=True)],
        "verdicts": tables.verdicts(comparisons),
        "overall": tables.overall(comparisons),
        "held": [
            tables.held_values(comparison, name, index)
            for index, (name, comparison) in enumerate(zip(names, comparisons, strict=True))
            if comparison.columns
        ],
        "parts": {part: table for part, table in parts.items() if table.rows},
        "moved": not all(change.quiet for comparison in comparisons for change in comparison.changes),
    }
    return render("compare.html.j2", _title(comparisons), {"page": page})


def write_comparison(comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """Write ``compare.md``, ``compare.csv`` and ``index.html`` into a folder, made if missing.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    from ..report.report import write_files

    contents = {
        "compare.md": comparison_markdown(comparisons),
        "compare.csv": tables.long(comparisons).to_csv(index=False),
        "index.html": comparison_page(comparisons),
    }
    return write_files(folder, contents)


def _title(comparisons: Sequence[Comparison]) -> str:
    return f"{comparisons[0].run.label} against {', '.join(c.reference.label for c in comparisons)}"


def _runs(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    runs = [comparisons[0].run, *(comparison.reference for comparison in comparisons)]
    return [{"label": run.label, "description": run_description(run)} for run in runs]
