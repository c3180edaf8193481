"""The command ``compare``: runs, or two solvers of a run, held against each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..utils.console import print_frame, say
from ..utils.errors import UserError, unknown
from ..utils.terminal import printed_json
from .options import writable

if TYPE_CHECKING:
    from ..comparison import Aspect, Comparison

comparisons = typer.Typer(rich_markup_mode=None)
ANY = "any"


@comparisons.command()
def compare(
    folder: Annotated[Path, typer.Argument(help="The --out of a run.")],
    references: Annotated[
        list[Path] | None, typer.Argument(help="The runs to hold it against, one column each.")
    ] = None,
    solver: Annotated[
        str | None, typer.Option("--solver", help="Compare this solver of the run, as in the tables, …")
    ] = None,
    against: Annotated[str | None, typer.Option("--against", help="… with this one.")] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option("--fail-on", help="Exit code 1 if these regress: values, time, memory, quality or any."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, help="A change of the time that does not count.")
    ] = 0.02,
    json: Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write compare.md, compare.csv and index.html here.", file_okay=True),
    ] = None,
) -> None:
    """Compare a run with others, or two solvers of it: values, time, memory and counts, quality.

    \b
    python -m bench compare results/quick results/reference/quick-cpu --fail-on values
    python -m bench compare results/quick --solver 'restarted_jfb(10, 16)' --against 'deq(1e-06)'
    """
    from ..comparison import compare_runs, compare_solvers, read_run

    failing = parts_of(fail_on or [], two_solvers=solver is not None)
    if (solver is None) != (against is None):
        raise UserError("--solver and --against go together: name the two solvers of a run")
    writable(out)
    if out is not None and (out / "manifest.json").exists():
        raise UserError(f"--out {out} holds a run, whose page would be replaced: choose another folder")
    run = read_run(folder)
    if solver is None or against is None:
        found = compare_runs(run, [read_run(reference) for reference in references or []], tolerance)
    elif references:
        raise UserError("two solvers are compared within one run: name one folder")
    else:
        found = [compare_solvers(run, solver, against, tolerance)]
    if json:
        from ..comparison.output import comparison_json

        print(printed_json(comparison_json(found, failing)))  # noqa: T201
    else:
        _print(found)
    if out is not None:
        from ..comparison.output import write_comparison

        for file in write_comparison(found, out):
            say(str(file))
    _end(found, failing)


def parts_of(words: Iterable[str], two_solvers: bool) -> list[Aspect]:
    """What ``--fail-on`` names. Raises ``UserError`` for a word that it does not know."""
    from ..comparison import Aspect

    chosen = []
    for word in words:
        if word != ANY and word not in list(Aspect):
            raise unknown("--fail-on", word, [*Aspect, ANY])
        chosen += list(Aspect) if word == ANY else [Aspect(word)]
    if two_solvers and Aspect.VALUES in chosen and ANY not in words:
        raise UserError("--fail-on values: two solvers need not agree; take time, memory or quality")
    return list(dict.fromkeys(chosen))


def _print(found: list[Comparison]) -> None:
    from ..comparison import Aspect, tables
    from ..comparison.pairing import description

    for run in (found[0].run, *(comparison.reference for comparison in found)):
        print("\n  ".join([run.label, *description(run)]))  # noqa: T201
    for comparison in found:
        for line in comparison.warnings:
            print(f"against {comparison.reference.label}: {line}")  # noqa: T201
    for name, comparison in zip(tables.reference_names(found), found, strict=True):
        if comparison.columns:
            print_frame(tables.held_values(comparison, name).frame(), f"\nvalues held against {name}")
    for part in Aspect:
        table = tables.comparison_table(found, part, moved_only=True)
        if table.rows:
            print_frame(table.frame(), f"\n{tables.TITLES[part]}")
    overall = tables.overall(found)
    if overall.rows:
        print_frame(overall.frame(), "\nTime over all cells")
    print_frame(tables.verdicts(found).frame(), "\nVerdicts")


def _end(found: list[Comparison], failing: list[Aspect]) -> None:
    """Say what regressed, and end with exit code 1 if anything did."""
    from ..comparison.change import regressions

    failed = False
    for comparison in found:
        regressed = regressions(comparison.changes, failing)
        name = comparison.reference.label
        if regressed:
            words = ", ".join(
                f"{sum(change.part == part for change in regressed)} of {part}"
                for part in failing
                if any(change.part == part for change in regressed)
            )
            say(f"regressed against {name}: {words}", "red")
            failed = True
        elif failing:
            words = ", ".join(failing)
            say(f"nothing regressed against {name}: {words}")
    if failed:
        raise typer.Exit(1)
