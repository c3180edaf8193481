"""The table of misuse: what happens where a user does what nobody meant, a row for each test that says so.

A test is marked ``@pytest.mark.misuse(situation, outcome)``, alone or as a mark of ``pytest.param``, with plain strings
and, where the file of the test does not tell, ``area="maps"``. They are read, not run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OUTCOMES = ("right", "refused", "not supported")
"""How an outcome begins."""
AREAS = {
    "images": ("test_images.py", "test_pictures.py"),
    "environment": ("test_environment.py", "test_wheel.py"),
    "check": ("test_check.py", "test_operator.py"),
    "files of one's own": ("test_own.py", "test_new.py"),
    "commands": (
        "test_command.py",
        "test_terminal.py",
        "test_paths.py",
        "test_untrusted.py",
        "test_completion.py",
        "test_calls.py",
    ),
}
"""What a test of these files is about; another one is about its folder."""
FOLDERS = {
    "solvers": "solvers and gradients",
    "bench": "benchmark",
    "theory_checks": "theory",
    "docs": "environment",
}


@dataclass(frozen=True, slots=True, order=True)
class Misuse:
    """A row.

    Attributes:
        area: what it is about.
        situation: what a user does.
        outcome: what happens; begins with one of ``OUTCOMES``.
        file, test: where it is shown.
    """

    area: str
    situation: str
    outcome: str
    file: str
    test: str


def rows(tests: Path) -> list[Misuse]:
    """The rows of all tests in a folder, by area and situation.

    Raises:
        ValueError: a mark is no plain text, or its outcome begins in another way.
    """
    return sorted(row for file in sorted(tests.rglob("*.py")) for row in _rows(file, tests))


def page(tests: Path) -> str:
    """``docs/misuse.md``."""
    found = rows(tests)
    lines = [
        "# Misuse, and odd input",
        "",
        "What happens in situations that nobody meant, and in some that only look like it: *right* (the result is what",
        "it should be), *refused* (an error that says what to do; a command ends with exit code 2 and has written",
        f"nothing), or *not supported* (known, and said here). Each of the {len(found)} rows is a test.",
        "Made from the tests by `python -m theory_checks docs`.",
    ]
    for area in dict.fromkeys(row.area for row in found):
        lines += [
            "",
            f"## {area[0].upper()}{area[1:]}",
            "",
            "| situation | what happens | test |",
            "|---|---|---|",
        ]
        for row in found:
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
            where = f"{file}:{mark.lineno}"
            situation, outcome, area = _texts(mark, where)
            if not outcome.startswith(OUTCOMES):
                raise ValueError(
                    f"{where}: an outcome begins with one of {', '.join(OUTCOMES)}, not {outcome!r}"
                )
            test = next(
                (f.name for f in functions if any(mark in ast.walk(d) for d in f.decorator_list)), file.stem
            )
            at = file.relative_to(tests).as_posix()
            yield Misuse(area or _area(at), situation, outcome, at, test)


def _texts(mark: ast.Call, where: str) -> tuple[str, str, str]:
    given = [*mark.args, *(k.value for k in mark.keywords if k.arg != "area")]
    area = [k.value for k in mark.keywords if k.arg == "area"]
    texts = [n.value for n in (*given, *area) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    if len(given) != 2 or len(texts) != 2 + len(area):
        raise ValueError(f"{where}: write misuse(situation, outcome) with plain strings")
    return texts[0], texts[1], texts[2] if area else ""


def _area(file: str) -> str:
    folder, _, name = file.rpartition("/")
    known = (area for area, files in AREAS.items() if name in files)
    return next(known, FOLDERS.get(folder.partition("/")[0], folder))
