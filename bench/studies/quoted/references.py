"""The committed references as frames, and the numbers that pages look up in them."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import functools
import json

import pandas as pd

from ...analysis.cost_at_error import percent
from ...analysis.pareto import points
from ...analysis.tidy import looks, tidy, trajectories
from ...records.record import Record
from ...records.store import Store
from ...utils.provenance import ROOT

REFERENCE = ROOT / "results" / "reference"
PARETO, SMALL, LEARNING = "pareto-cpu", "paper-small-cpu", "learning-cpu"
OPERATORS = "operators-cpu"
PUBLISHED = "published-cpu"
OUTER = "outer-cpu"
"""Of the command ``learning``; ``learning-cpu`` is of the profile of that name."""
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@functools.cache
def records(name: str) -> tuple[Record, ...]:
    """The records of a reference."""
    return tuple(Store(REFERENCE / name).records())


@functools.cache
def tidy_reference(name: str) -> pd.DataFrame:
    """The tidy table of a reference."""
    return tidy(records(name))


@functools.cache
def past_depth_curves(name: str) -> pd.DataFrame:
    """PSNR and residual of a reference beyond the trained depth."""
    return trajectories(records(name))


@functools.cache
def training_looks(name: str) -> pd.DataFrame:
    """Results on the test images in the course of each training of a reference."""
    return looks(records(name))


@functools.cache
def pareto_points() -> pd.DataFrame:
    """``pareto.points`` of the pareto reference, indexed by heading and solver."""
    return points(tidy_reference(PARETO)).set_index(["heading", "solver"])


@functools.cache
def reference_csv(name: str) -> pd.DataFrame:
    """A CSV file below the references."""
    return pd.read_csv(REFERENCE / name)


def errors(heading: str, *solvers: str) -> list[str]:
    """Errors of gradients in the pareto reference, the largest over seeds and draws, in per cent."""
    return [percent(float(pareto_points().loc[(heading, solver), "error"])) for solver in solvers]


def counts(heading: str, solver: str) -> tuple[float, float]:
    """Applications and vector-Jacobian products of a solver in the pareto reference."""
    row = tidy_reference(PARETO).query("heading == @heading and solver == @solver").iloc[0]
    return row["applications"], row["vjps"]


def products_and_error(heading: str, solver: str) -> list[str]:
    """Applications + VJPs of a solver in the pareto reference, and its error in per cent."""
    return [f"{sum(counts(heading, solver)):.0f}", *errors(heading, solver)]


def cheapest_within(family: str, headings: list[str], within: float) -> str:
    """The solver of a family with the least products whose error is at most ``within`` on each of the headings.

    Raises:
        LookupError: there is none.
    """
    rows = pareto_points().reset_index()
    rows = rows[(rows["family"] == family) & rows["heading"].isin(headings)]
    sums = rows.groupby("solver", sort=False).agg(
        worst=("error", "max"), work=("work", "sum"), tasks=("error", "size")
    )
    sums = sums[(sums["worst"] <= within) & (sums["tasks"] == len(headings))]
    if sums.empty:
        raise LookupError(f"no {family} of {PARETO} is within {within:g} on each of {', '.join(headings)}")
    return str(sums["work"].idxmin())


def run_setting(name: str, *path: str) -> object:
    """The value of a setting that all quality records of a reference share. Raises ``LookupError`` if they differ."""
    values: set[str] = set()
    for record in records(name):
        if record.kind == "quality":
            setting: object = record.settings
            for key in path:
                setting = setting.get(key) if isinstance(setting, dict) else None
            values.add(json.dumps(setting))
    if len(values) != 1:
        raise LookupError(f"{name} has several {'.'.join(path)}: {', '.join(sorted(values))}")
    return json.loads(values.pop())


def word(count: int) -> str:
    """A number up to ten as a word."""
    return WORDS[count] if count < len(WORDS) else str(count)


def claim_count() -> int:
    """Number of claims in the committed verdicts."""
    verdicts = json.loads((REFERENCE / "bounds" / "verdicts.json").read_text(encoding="utf-8"))
    return len(verdicts["claims"])


def mutant_count() -> int:
    """Number of rows in the committed table of mutants."""
    text = (REFERENCE / "bounds" / "mutations.md").read_text(encoding="utf-8")
    return sum(line.startswith("|") for line in text.splitlines()) - 2  # without the header
