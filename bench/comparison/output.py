"""A comparison as Markdown, CSV, JSON and a page; the same records give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from ..utils.atomic_files import make_folder, write_atomically
from ..utils.json_values import finite
from . import tables
from .change import Aspect, regressions
from .compare import Comparison
from .pairing import description


def comparison_markdown(comparisons: Sequence[Comparison]) -> str:
    """Headers, verdicts and what moved; the rows in which nothing moved are in the CSV."""
    lines = [f"# {comparisons[0].run.label} against {', '.join(c.reference.label for c in comparisons)}", ""]
    for title, run in _runs(comparisons):
        lines += [f"- **{title}**", *(f"  - {line}" for line in run), ""]
    for name, comparison in zip(tables.reference_names(comparisons), comparisons, strict=True):
        if comparison.warnings:
            lines += [f"Against {name}:", "", *(f"- {line}" for line in comparison.warnings), ""]
    lines += ["## Verdicts", "", tables.verdicts(comparisons).to_markdown(index=False), ""]
    overall = tables.overall(comparisons)
    if len(overall):
        lines += ["## Time over all cells", "", overall.to_markdown(index=False), ""]
    for part in Aspect:
        rows = tables.compared_rows(comparisons, part)
        shown = [row for row in rows if not row.quiet]
        if shown:
            table = tables.comparison_table(comparisons, part, shown).to_markdown(
                index=False, disable_numparse=True
            )
            lines += [f"## {tables.TITLES[part]}", "", table, ""]
        if len(rows) > len(shown):
            lines += [f"{len(rows) - len(shown)} further rows of {part}: the same, or noise.", ""]
    return "\n".join(lines)


def comparison_json(comparisons: Sequence[Comparison], failing: Iterable[Aspect]) -> str:
    """Everything as one JSON object on one line; ``null`` for what is not finite.

    Keys: ``run`` (label and description), and ``references``, each with ``label``, ``description``, ``warnings``,
    ``held``, ``overall``, ``drift``, ``changes`` and ``regressed``, the number of changes that regress in ``failing``.
    """
    parts = list(failing)
    (title, run), *others = _runs(comparisons)
    references = [
        {
            "label": label,
            "description": lines,
            "warnings": list(comparison.warnings),
            "held": [asdict(column) for column in comparison.columns],
            "overall": [asdict(one) for one in comparison.overall],
            "drift": asdict(comparison.drift) if comparison.drift else None,
            "changes": [asdict(change) for change in comparison.changes],
            "regressed": len(regressions(comparison.changes, parts)),
        }
        for (label, lines), comparison in zip(others, comparisons, strict=True)
    ]
    found = {"run": {"label": title, "description": run}, "references": references}
    return json.dumps(finite(found), sort_keys=True, ensure_ascii=False, allow_nan=False)


def write_comparison(comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """Write ``compare.md``, ``compare.csv`` and ``index.html`` into a folder, made if missing.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    # Here, not above: the page brings its renderer, which nothing else needs.
    from .page import comparison_page

    make_folder(folder)
    content = {
        "compare.md": comparison_markdown(comparisons),
        "compare.csv": tables.long(comparisons).to_csv(index=False),
        "index.html": comparison_page(comparisons),
    }
    for name, text in content.items():
        write_atomically(folder / name, text)
    return [folder / name for name in content]


def _runs(comparisons: Sequence[Comparison]) -> list[tuple[str, list[str]]]:
    runs = [comparisons[0].run, *(comparison.reference for comparison in comparisons)]
    return [(run.label, description(run)) for run in runs]
