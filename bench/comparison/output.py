"""A comparison as Markdown, CSV, JSON and a page; the same records give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from ..utils.json_values import finite
from . import tables
from .change import Aspect, regressions
from .compare import Comparison
from .pairing import description


def comparison_markdown(comparisons: Sequence[Comparison]) -> str:
    """Descriptions of the runs, verdicts, and the numbers that have moved; the CSV has the others."""
    lines = [f"# {comparisons[0].run.label} against {', '.join(c.reference.label for c in comparisons)}", ""]
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

    Keys: ``run`` (label and description), and ``references``, each with ``label``, ``description``, ``warnings``,
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


def render_comparison(comparisons: Sequence[Comparison]) -> dict[str, str | bytes]:
    """``compare.md``, ``compare.csv`` and ``index.html``: contents by name."""
    # Here, not above: the page brings its renderer, which no other output needs.
    from .page import comparison_page

    return {
        "compare.md": comparison_markdown(comparisons),
        "compare.csv": tables.long(comparisons).to_csv(index=False),
        "index.html": comparison_page(comparisons),
    }


def write_comparison(comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """Write ``render_comparison`` into a folder, made if missing.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    from ..report.report import write_files

    return write_files(folder, render_comparison(comparisons))


def _runs(comparisons: Sequence[Comparison]) -> list[dict[str, object]]:
    runs = [comparisons[0].run, *(comparison.reference for comparison in comparisons)]
    return [{"label": run.label, "description": description(run)} for run in runs]
