"""The table of misuse in ``docs/misuse.md``: unusual situations, and their outcomes as the tests state them.

A test is marked with ``@pytest.mark.misuse(situation, outcome)``, directly or in ``pytest.param``, in plain strings.
The area of the table follows from the path of the test; ``area="maps"`` overrides it. Tests are parsed, not run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OUTCOMES = ("right", "refused", "not supported")
"""First words of an outcome."""
AREAS = {
    "images": ("test_images.py", "test_image_files.py", "test_formats.py", "test_slices.py"),
    "environment": ("test_environment.py", "test_wheel.py"),
    "files of one's own": ("test_user_files.py", "test_new.py"),
    "commands": (
        "test_command.py",
        "test_terminal.py",
        "test_paths.py",
        "test_untrusted_text.py",
        "test_completion.py",
        "test_call_syntax.py",
    ),
}
"""Areas by the names of test files; other tests belong to the area of their folder."""
FOLDERS = {
    "solvers": "solvers and gradients",
    "bench": "benchmark",
    "theory_checks/check": "check",
    "theory_checks/operators": "check",
    "theory_checks": "theory",
    "docs": "environment",
}
"""Areas by folder of ``tests/``; the longest path that fits decides."""


@dataclass(frozen=True, slots=True, order=True)
class Misuse:
    """A row of the table.

    Attributes:
        area: heading under which the row stands.
        situation: action of a user.
        outcome: result; begins with one of ``OUTCOMES``.
        file, test: path below ``tests/``, and name of the test.
    """

    area: str
    situation: str
    outcome: str
    file: str
    test: str


def misuse_rows(tests: Path) -> list[Misuse]:
    """The rows of all tests in a folder, sorted by area and situation.

    Raises:
        ValueError: a mark is not in plain strings, or its outcome does not begin with one of ``OUTCOMES``.
    """
    return sorted(row for file in sorted(tests.rglob("*.py")) for row in _rows(file, tests))


def misuse_page(tests: Path) -> str:
    """The text of ``docs/misuse.md``."""
    rows = misuse_rows(tests)
    lines = [
        "# Misuse, and unusual input",
        "",
        "Outcomes of situations that nobody intends, and of some that only look wrong: *right* (the result is as it",
        "should be), *refused* (an error says what to do; a command ends with exit code 2 and writes nothing), or",
        f"*not supported* (a known limit). Each of the {len(rows)} rows is a test.",
        "Generated from the tests by `python -m theory_checks docs`.",
    ]
    for area in dict.fromkeys(row.area for row in rows):
        lines += [
            "",
            f"## {area[0].upper()}{area[1:]}",
            "",
            "| situation | what happens | test |",
            "|---|---|---|",
        ]
        for row in rows:
            if row.area == area:
                link = f"[{row.test}](../tests/{row.file})"
                lines.append(f"| {_cell(row.situation)} | {_cell(row.outcome)} | {link} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _rows(file: Path, tests: Path) -> Iterator[Misuse]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for mark in ast.walk(tree):
        if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.misuse"):
            location = f"{file}:{mark.lineno}"
            situation, outcome, area = _texts(mark, location)
            if not outcome.startswith(OUTCOMES):
                raise ValueError(
                    f"{location}: an outcome begins with one of {', '.join(OUTCOMES)}, not {outcome!r}"
                )
            test = next(
                (f.name for f in functions if any(mark in ast.walk(d) for d in f.decorator_list)), file.stem
            )
            path = file.relative_to(tests).as_posix()
            yield Misuse(area or _area(path), situation, outcome, path, test)


def _texts(mark: ast.Call, location: str) -> tuple[str, str, str]:
    """Situation, outcome and area (which may be empty) of a mark."""
    values = [*mark.args, *(k.value for k in mark.keywords if k.arg != "area")]
    area = [k.value for k in mark.keywords if k.arg == "area"]
    texts = [n.value for n in (*values, *area) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    if len(values) != 2 or len(texts) != 2 + len(area):
        raise ValueError(f"{location}: write misuse(situation, outcome) with plain strings")
    return texts[0], texts[1], texts[2] if area else ""


def _area(file: str) -> str:
    folder, _, name = file.rpartition("/")
    for area, files in AREAS.items():
        if name in files:
            return area
    matches = [path for path in FOLDERS if f"{folder}/".startswith(f"{path}/")]
    return FOLDERS[max(matches, key=len)] if matches else folder
