"""The verdicts of the claims, as ``theory_checks`` wrote them into a folder."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..provenance import ROOT
from .grids import Grid, Head, listed

REFERENCE = ROOT / "results" / "reference" / "bounds"
"""The verdicts that come with the project."""
Entry = dict[str, object]

CLAIMS = (
    (Head("claim", header=True), "id"),
    (Head("statement"), "statement"),
    (Head("assumes"), "assumptions"),
    (Head("verdict"), "verdict"),
    (Head("worst ratio", number=True), "worst"),
    (Head("bound / actual, median", number=True), "median"),
    (Head("bound / actual, 90 %", number=True), "ninetieth"),
    (Head("examples", number=True), "examples"),
    (Head("outside", number=True, shown=False), "outside"),
    (Head("instances", shown=False), "families"),
    (Head("its false twin", shown=False), "twin"),
    (Head("source", shown=False), "source"),
)
OPERATORS = (
    (Head("operator", header=True), "of"),
    (Head("claim"), "claim"),
    (Head("L", number=True), "L"),
    (Head("L is"), "rigour"),
    (Head("ratio", number=True), "ratio"),
    (Head("verdict"), "verdict"),
    (Head("because"), "reason"),
)


@dataclass(frozen=True, slots=True)
class Theory:
    """What a folder of verdicts holds.

    Attributes:
        place: where it lies, as a reader of the checkout finds it.
        claims, operators: its tables.
        held: how many claims hold; ``refuted`` has the names of those that do not.
        points: error and bound over depth, for the plots; none where the folder has none.
    """

    place: str
    claims: Grid
    operators: Grid
    held: int
    refuted: tuple[str, ...]
    points: tuple[Entry, ...]


def given(folder: Path | None) -> Theory | None:
    """The verdicts in a folder; without one, those that come with the project, if they are there."""
    if folder is not None:
        return read(folder)
    return read(REFERENCE) if (REFERENCE / "verdicts.json").is_file() else None


def read(folder: Path) -> Theory:
    """The verdicts in a folder.

    Raises:
        UserError: it holds no ``verdicts.json``, or a broken one.
    """
    found = _json(folder / "verdicts.json")
    if not isinstance(found, dict):
        raise UserError(f"{folder / 'verdicts.json'} is broken: make it again with 'tox -e bounds'")
    claims, operators = (_objects(found.get(name)) for name in ("claims", "operators"))
    refuted = tuple(
        str(entry.get("id"))
        for entry in claims
        if entry.get("verdict") not in ("holds", "assumption not met", "not met here")
    )
    points_file = folder / "error-against-bound.json"
    points = _objects(_json(points_file)) if points_file.is_file() else []
    place = folder.resolve()
    return Theory(
        place=place.relative_to(ROOT).as_posix() if place.is_relative_to(ROOT) else place.name,
        claims=listed("table-claims", "The claims on instances with exact constants.", claims, CLAIMS),
        operators=listed(
            "table-operators", "The same claims on operators of the benchmark.", operators, OPERATORS
        ),
        held=sum(entry.get("verdict") == "holds" for entry in claims),
        refuted=refuted,
        points=tuple(entry for entry in points if _is_point(entry)),
    )


def _json(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{file.parent} holds no {file.name}: make it with 'tox -e bounds'") from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} is broken: make it again with 'tox -e bounds'") from error


def _objects(found: object) -> list[Entry]:
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _is_point(entry: Entry) -> bool:
    def positive(name: str) -> bool:
        value = entry.get(name)
        return isinstance(value, int | float) and math.isfinite(value) and value > 0

    restarts = entry.get("R")
    return (
        isinstance(restarts, int)
        and isinstance(entry.get("map"), str)
        and all(map(positive, ("K", "error", "bound")))
    )
