"""The committed references as frames, and the few questions that pages ask of them."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import functools
import json

import pandas as pd

from ...analysis.pareto import points
from ...analysis.tidy import looks, tidy, trajectories
from ...records.record import Record
from ...records.store import Store
from ...utils.provenance import ROOT

REFERENCE = ROOT / "results" / "reference"
FEW = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@functools.cache
def records(name: str) -> tuple[Record, ...]:
    """Those of a reference."""
    return tuple(Store(REFERENCE / name).records())


@functools.cache
def tidy_reference(name: str) -> pd.DataFrame:
    """Its tidy table."""
    return tidy(records(name))


@functools.cache
def seen(name: str) -> pd.DataFrame:
    """Its looks past the trained depth."""
    return trajectories(records(name))


@functools.cache
def pareto_points(name: str) -> pd.DataFrame:
    """Its rows of ``pareto.points``, by heading and solver."""
    return points(tidy_reference(name)).set_index(["heading", "solver"])


@functools.cache
def reference_csv(name: str) -> pd.DataFrame:
    """A CSV file below the references."""
    return pd.read_csv(REFERENCE / name)


def measured_row(name: str, heading: str, solver: str) -> pd.Series:
    """One row of ``pareto_points``."""
    return pareto_points(name).loc[(heading, solver)]


def error(name: str, heading: str, solver: str) -> float:
    """The error of a gradient, the largest over seeds and draws."""
    return float(measured_row(name, heading, solver)["error"])


def everywhere(name: str, family: str, headings: list[str], within: float) -> str:
    """Of a family the solver with the least products whose gradient is within ``within`` on each of the headings.

    Raises:
        LookupError: none is.
    """
    found = pareto_points(name).reset_index()
    found = found[(found["family"] == family) & found["heading"].isin(headings)]
    sums = found.groupby("solver", sort=False).agg(
        worst=("error", "max"), work=("work", "sum"), of=("error", "size")
    )
    kept = sums[(sums["worst"] <= within) & (sums["of"] == len(headings))]
    good = pd.DataFrame(kept).sort_values("work", kind="stable")
    if good.empty:
        raise LookupError(f"no {family} of {name} is within {within:g} on each of {', '.join(headings)}")
    return str(good.index[0])


def run_setting(name: str, *path: str) -> object:
    """The one value that all records of quality of a reference have of a setting."""
    values = {json.dumps(_inside(r.settings, path)) for r in records(name) if r.kind == "quality"}
    if len(values) != 1:
        raise LookupError(f"{name} has several {'.'.join(path)}: {', '.join(sorted(values))}")
    return json.loads(values.pop())


def _inside(table: dict[str, object], path: tuple[str, ...]) -> object:
    found: object = table
    for word in path:
        found = found[word] if isinstance(found, dict) else None
    return found


def word(count: int) -> str:
    """A small number as a word."""
    return FEW[count] if count < len(FEW) else str(count)


def claims() -> int:
    """Claims of the theory in the committed verdicts."""
    verdicts = json.loads((REFERENCE / "bounds" / "verdicts.json").read_text(encoding="utf-8"))
    return len(verdicts["claims"])


def mutants() -> int:
    """Rows of the committed table of mutants."""
    text = (REFERENCE / "bounds" / "mutations.md").read_text(encoding="utf-8")
    return sum(line.startswith("|") for line in text.splitlines()) - 2  # its head


@functools.cache
def looked_rows(name: str) -> pd.DataFrame:
    """Its looks at the test images in the course of a training."""
    return looks(records(name))


PARETO, SMALL = "pareto-cpu", "paper-small-cpu"
