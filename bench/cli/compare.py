"""The command ``compare``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..utils.console import print_frame, say
from ..utils.errors import UserError, unknown
from ..utils.terminal import printed_json
from .options import Folder, Json, writable

if TYPE_CHECKING:
    from ..comparison import Aspect, Comparison

ANY = "any"


def compare(
    folder: Folder,
    references: Annotated[
        list[Path] | None,
        typer.Argument(help="Runs to compare it with, one column each.", metavar="REFERENCE"),
    ] = None,
    solver: Annotated[str | None, typer.Option(help="Compare this solver of RUN …", metavar="SOLVER")] = None,
    against: Annotated[
        str | None, typer.Option(help="… with this one, in place of runs.", metavar="SOLVER")
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            help="Exit with 1 if these regress: values, time, memory, quality or any.", metavar="PART"
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Relative change of seconds that is ignored.")
    ] = 0.02,
    json: Json = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write compare.md, compare.csv and index.html into this folder.", metavar="FOLDER"),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Draw the ratios of times, with intervals, into this folder.", metavar="FOLDER"),
    ] = None,
) -> None:
    """Compare runs, or two solvers of a run.

    Compared are values, time, memory and counts, and quality.

    \b
    python -m bench compare results/quick results/reference/quick-cpu --fail-on values
    python -m bench compare results/quick results/reference/quick-cpu --figure results/compared
    python -m bench compare results/quick --solver 'restarted_jfb(10, 16)' --against 'deq(1e-06)'
    """
    from ..comparison import compare_runs, compare_solvers, read_stored_run

    failing = failing_aspects(fail_on or [], two_solvers=solver is not None)
    if (solver is None) != (against is None):
        raise UserError("--solver and --against go together: name the two solvers of a run")
    writable(out)
    writable(figure, "--figure")
    if out is not None and (out / "manifest.json").exists():
        raise UserError(f"--out {out} holds a run, whose page would be replaced: choose another folder")
    run = read_stored_run(folder)
    if solver is None or against is None:
        comparisons = compare_runs(
            run, [read_stored_run(reference) for reference in references or []], tolerance
        )
    elif references:
        raise UserError("two solvers are compared within one run: name one folder")
    else:
        comparisons = [compare_solvers(run, solver, against, tolerance)]
    if json:
        from ..comparison.output import comparison_json

        print(printed_json(comparison_json(comparisons, failing)))  # noqa: T201
    else:
        _print(comparisons)
    if out is not None:
        from ..comparison.output import write_comparison

        for file in write_comparison(comparisons, out):
            say(str(file))
    if figure is not None:
        from ..comparison.forest import draw_forest

        for file in draw_forest(comparisons, figure):
            say(str(file))
    if _say_regressions(comparisons, failing):
        raise typer.Exit(1)


def failing_aspects(words: Iterable[str], two_solvers: bool) -> list[Aspect]:
    """Parse the values of ``--fail-on``. Raises ``UserError`` for an unknown one."""
    from ..comparison import Aspect

    aspects: list[Aspect] = []
    for word in words:
        if word != ANY and word not in list(Aspect):
            raise unknown("--fail-on", word, [*Aspect, ANY])
        aspects += list(Aspect) if word == ANY else [Aspect(word)]
    if two_solvers and Aspect.VALUES in aspects and ANY not in words:
        raise UserError("--fail-on values: two solvers need not agree; take time, memory or quality")
    return list(dict.fromkeys(aspects))


def _print(comparisons: list[Comparison]) -> None:
    from ..comparison import Aspect, tables
    from ..comparison.pairing import run_description

    for run in (comparisons[0].run, *(comparison.reference for comparison in comparisons)):
        print("\n  ".join([run.label, *run_description(run)]))  # noqa: T201
    for comparison in comparisons:
        for line in comparison.warnings:
            print(f"against {comparison.reference.label}: {line}")  # noqa: T201
    for name, comparison in zip(tables.reference_names(comparisons), comparisons, strict=True):
        if comparison.columns:
            print_frame(tables.held_values(comparison, name).frame(), f"\nvalues held against {name}")
    for aspect in Aspect:
        table = tables.comparison_table(comparisons, aspect, moved_only=True)
        if table.rows:
            print_frame(table.frame(), f"\n{tables.TITLES[aspect]}")
    overall = tables.overall(comparisons)
    if overall.rows:
        print_frame(overall.frame(), "\nTime over all cells")
    print_frame(tables.verdicts(comparisons).frame(), "\nVerdicts")


def _say_regressions(comparisons: list[Comparison], failing: list[Aspect]) -> bool:
    """Say what regressed. Returns whether anything did."""
    from ..comparison.change import regressions

    failed = False
    for comparison in comparisons:
        counts = Counter(change.part for change in regressions(comparison.changes, failing))
        name = comparison.reference.label
        if counts:
            words = ", ".join(f"{counts[aspect]} of {aspect}" for aspect in failing if counts[aspect])
            say(f"regressed against {name}: {words}", "red")
            failed = True
        elif failing:
            say(f"nothing regressed against {name}: {', '.join(failing)}")
    return failed
