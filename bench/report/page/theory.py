"""Verdicts on the claims, from the files of ``theory_checks``."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from ...utils.errors import UserError
from ...utils.provenance import ROOT
from ..cells import HeaderCell, HtmlTable
from .tables import listed

REFERENCE = ROOT / "results" / "reference" / "bounds"
"""Verdicts that come with the project."""
Entry = dict[str, object]

CLAIMS = (
    (HeaderCell("claim", header=True), "id"),
    (HeaderCell("statement"), "statement"),
    (HeaderCell("assumes"), "assumptions"),
    (HeaderCell("verdict"), "verdict"),
    (HeaderCell("worst ratio", number=True), "worst"),
    (HeaderCell("bound / actual, median", number=True), "median"),
    (HeaderCell("bound / actual, 90 %", number=True), "ninetieth"),
    (HeaderCell("examples", number=True), "examples"),
    (HeaderCell("outside", number=True, shown=False), "outside"),
    (HeaderCell("instances", shown=False), "families"),
    (HeaderCell("negative control", shown=False), "twin"),
    (HeaderCell("source", shown=False), "source"),
)
OPERATORS = (
    (HeaderCell("operator", header=True), "of"),
    (HeaderCell("claim"), "claim"),
    (HeaderCell("L", number=True), "L"),
    (HeaderCell("L is"), "rigour"),
    (HeaderCell("ratio", number=True), "ratio"),
    (HeaderCell("verdict"), "verdict"),
    (HeaderCell("because"), "reason"),
)


@dataclass(frozen=True, slots=True)
class Theory:
    """Content of a folder of verdicts.

    Attributes:
        place: path of the folder in the checkout, or its name.
        claims, operators: tables of verdicts.
        held: number of claims that hold; ``refuted`` has the names of those that do not.
        points: error and bound over depth, for the plots; empty if the folder has none.
    """

    place: str
    claims: HtmlTable
    operators: HtmlTable
    held: int
    refuted: tuple[str, ...]
    points: tuple[Entry, ...]


def project_verdicts(folder: Path | None) -> Theory | None:
    """The verdicts in a folder; without one, those that come with the project, if they are there."""
    if folder is not None:
        return read_verdicts(folder)
    return read_verdicts(REFERENCE) if (REFERENCE / "verdicts.json").is_file() else None


def read_verdicts(folder: Path) -> Theory:
    """Read the verdicts in a folder. Raises ``UserError`` if it holds no ``verdicts.json``, or a broken one."""
    verdicts = _json(folder / "verdicts.json")
    if not isinstance(verdicts, dict):
        raise UserError(f"{folder / 'verdicts.json'} is broken: make it again with 'tox -e bounds'")
    claims, operators = (_objects(verdicts.get(name)) for name in ("claims", "operators"))
    unrefuted = ("holds", "assumption not met", "not met here")
    points_file = folder / "error-against-bound.json"
    points = _objects(_json(points_file)) if points_file.is_file() else []
    place = folder.resolve()
    return Theory(
        place=place.relative_to(ROOT).as_posix() if place.is_relative_to(ROOT) else place.name,
        claims=listed("table-claims", "Claims on instances with exact constants.", claims, CLAIMS),
        operators=listed("table-operators", "Claims on operators of the benchmark.", operators, OPERATORS),
        held=sum(entry.get("verdict") == "holds" for entry in claims),
        refuted=tuple(str(entry.get("id")) for entry in claims if entry.get("verdict") not in unrefuted),
        points=tuple(entry for entry in points if _is_point(entry)),
    )


def _json(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{file.parent} holds no {file.name}: make it with 'tox -e bounds'") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} is broken: make it again with 'tox -e bounds'") from error


def _objects(content: object) -> list[Entry]:
    return [entry for entry in content if isinstance(entry, dict)] if isinstance(content, list) else []


def _is_point(entry: Entry) -> bool:
    numbers = [entry.get(name) for name in ("K", "error", "bound")]
    positive = all(isinstance(n, int | float) and math.isfinite(n) and n > 0 for n in numbers)
    return positive and isinstance(entry.get("R"), int) and isinstance(entry.get("map"), str)
