"""The command ``python -m theory_checks``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import writable
from bench.utils.console import print_frame, run_command, say
from bench.utils.errors import UserError
from bench.utils.terminal import printed_json, stdout_to_stderr

if TYPE_CHECKING:  # these imports take seconds
    from .engine import Verdict
    from .operators import OperatorCheck
    from .selection import Selection

CLAIMS = typer.Option(
    "--claims", help="Check only these: ids such as C4,C6, or bounds, companions, inertia, 1.4."
)

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def main() -> None:
    """Check the bounds on errors of gradients at equilibrium, with computed constants.

    \b
    python -m theory_checks verify
    python -m theory_checks verify --claims C4,C6 --examples 1000
    python -m theory_checks verify --claims C4,C6,C7 --search --examples 2000
    python -m theory_checks verify --claims companions
    python -m theory_checks verify --operator ./mine.py:operator
    python -m theory_checks check './my_solver.py:mine(10)'
    python -m theory_checks mutations
    python -m theory_checks attack
    python -m theory_checks worst-cases
    python -m theory_checks oracle
    """


@app.command()
def verify(
    claims: Annotated[str | None, CLAIMS] = None,
    examples: Annotated[
        int, typer.Option("--examples", min=1, help="Number of examples for each claim.")
    ] = 100,
    search: Annotated[
        bool,
        typer.Option("--search", help="Search for the largest ratio of each claim, on harder examples."),
    ] = False,
    paper: Annotated[
        bool, typer.Option("--paper", help="Run experiments at the sizes of their papers, on a GPU.")
    ] = False,
    device: Annotated[
        str | None, typer.Option("--device", help="Device of the experiments: cpu, cuda, cuda:1, or auto.")
    ] = None,
    operator: Annotated[
        str | None, typer.Option("--operator", help="Check your own operator instead: ./file.py:factory.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write tables and figures into this folder.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only the verdicts, as JSON.")] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write the verdicts as JUnit XML into this file.")
    ] = None,
) -> None:
    """Verify claims. Exit code 1 if one fails, its negative control is not refuted, or its bound is not sharp."""
    from bench.utils.device import pick_device

    from .operators.benchmark_operator import check_benchmark_operators
    from .report import verdicts_json, writable_file, write_group, write_junit, write_verdicts
    from .selection import is_whole_group, select_claims

    selection = select_claims(claims)
    device = str(pick_device(device)) if device is not None else None
    writable(out)
    if junit is not None:
        writable_file(junit, "--junit")
    verdicts: list[Verdict] = []
    if operator is not None:
        checks = _check_operator(operator, selection.names)
    else:
        verdicts = _run(selection, examples, paper, device, climb=search, quiet=json)
        checks = check_benchmark_operators(tuple(claim.id for claim in selection.claims))
    if json:
        print(printed_json(verdicts_json(verdicts, checks)), end="")  # noqa: T201
    else:
        _print_tables(verdicts, checks)
    if out is not None:
        write_verdicts(verdicts, checks, out)
        for group in selection.groups if operator is None else ():
            settings = group.settings(paper, device)
            write_group(group, settings, verdicts, out, whole=is_whole_group(group))
    if junit is not None:
        write_junit(verdicts, checks, junit)
    failures = [f"{v.id} {v.verdict}: {v.detail or v.negative_control}" for v in verdicts if not v.passes]
    failures += [f"{c.claim} {c.verdict} on {c.of}: {c.reason}" for c in checks if c.verdict == "FAILS"]
    for line in failures:
        say(line, "red")
    if failures:
        raise typer.Exit(1)


def _check_operator(text: str, claims: tuple[str, ...]) -> list[OperatorCheck]:
    from .operators import check_operator_claims, load_operator
    from .operators.user_operator import operator_case

    with stdout_to_stderr():
        checks = check_operator_claims(*operator_case(load_operator(text), text), claims)
    if not checks:
        raise UserError(f"none of {', '.join(claims)} can be checked on a single operator")
    return checks


def _run(
    selection: Selection, examples: int, paper: bool, device: str | None, *, climb: bool, quiet: bool
) -> list[Verdict]:
    """Verify the selected claims and run the selected experiments, and print each verdict as it comes."""
    from .engine import run_experiment, verify_claim

    verdicts: list[Verdict] = []

    def add(verdict: Verdict) -> None:
        verdicts.append(verdict)
        if not quiet:
            say(_line(verdict))

    for claim in selection.claims:
        add(verify_claim(claim, examples, climb=climb))
    for group in selection.groups:
        for experiment in group.experiments:
            add(run_experiment(experiment, group.settings(paper, device)))
    return verdicts


def _print_tables(verdicts: Sequence[Verdict], checks: list[OperatorCheck]) -> None:
    from .report.claim_tables import claim_frame, split_verdicts
    from .report.experiment_tables import measurement_frame
    from .report.operator_tables import operator_frame

    claims, experiments = split_verdicts(verdicts)
    if claims:
        frame = claim_frame(claims).drop(columns=["statement", "families"])
        print_frame(frame, "on instances with exact constants")
    if experiments:
        print_frame(measurement_frame(experiments), "measured at fixed seeds")
    if checks:
        print_frame(operator_frame(checks), "on operators")


def _line(v: Verdict) -> str:
    """A verdict in one line, with the reason if the statement could not be checked or is known not to be met."""
    unchecked = v.verdict in ("assumption not met", "not met here")
    remark = v.reason if unchecked else f"worst ratio {v.worst:.3g}"
    return f"{v.id} {v.verdict}: {v.statement} ({remark}, {v.seconds:.1f} s)"


@app.command()
def mutations(
    claims: Annotated[str | None, CLAIMS] = None,
    examples: Annotated[
        int, typer.Option("--examples", min=1, help="Number of examples for each claim.")
    ] = 100,
    out: Annotated[Path | None, typer.Option("--out", help="Write mutations.md into this folder.")] = None,
) -> None:
    """Break the code in every way listed, one at a time. Exit code 1 if no claim notices one of them."""
    writable(out)
    from .report.operator_tables import mutation_frame, write_mutations
    from .selection import check_mutant, select_claims

    results = []
    for mutant in select_claims(claims).mutants:
        results.append(result := check_mutant(mutant, examples))
        names = ", ".join(result.caught) or "NOBODY"
        style = None if result.caught else "red"
        say(f"{mutant.name}: caught by {names} ({result.seconds:.1f} s)", style)
    print_frame(mutation_frame(results), "")
    if out is not None:
        write_mutations(results, out)
    if survivors := [result.name for result in results if not result.caught]:
        say(f"{len(survivors)} survived: {'; '.join(survivors)}", "red")
        raise typer.Exit(1)


@app.command()
def attack(
    trials: Annotated[int, typer.Option("--trials", min=1, help="Number of trials.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the search.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write attack.md and attack.json into this folder.")
    ] = None,
) -> None:
    """Attack rigorous certificates by guided trials. Exit code 1 if one is below the true error."""
    from .attack import run_attack
    from .attack.report import attack_frame, attack_progress, write_attack

    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: choose a folder")
    report = run_attack(trials, seed, attack_progress(say))
    print_frame(attack_frame(report), "rigorous certificates under attack")
    if out is not None:
        write_attack(report, out)
    for outcome in report.false[:10]:
        say(f"false by {outcome.ratio:.3g}: {outcome.trial}", "red")
    if report.false:
        raise typer.Exit(1)


@app.command("worst-cases")
def worst_cases(
    claims: Annotated[
        str | None, typer.Option("--claims", help="Only the bounds of these claims, e.g. C9,C15.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the table (CSV, Markdown) and the figure into this folder."),
    ] = None,
) -> None:
    """Exact worst cases of bounds over whole classes of problems. Exit code 1 if one exceeds its bound."""
    writable(out)
    try:
        from .report.worst_case_tables import summary_frame, write_worst_cases
        from .worst_cases import VIOLATED, select_cases, worst_case
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install --group worst-case") from error
    found = [worst_case(case) for case in select_cases(claims)]
    print_frame(summary_frame(found), "exact worst cases by semidefinite programmes")
    if out is not None:
        write_worst_cases(found, out)
    violated = [worst for worst in found if worst.verdict == VIOLATED]
    for worst in violated:
        say(
            f"{worst.case.claim} exceeded at {worst.case.label}: {worst.exact:.9g} > {worst.case.stated:.9g}",
            "red",
        )
    if violated:
        raise typer.Exit(1)


@app.command()
def peers(
    out: Annotated[Path | None, typer.Option("--out", help="Write peers.md into this folder.")] = None,
) -> None:
    """Check C1 on the implicit gradients of deepinv and torchdeq, with small and with large budgets."""
    writable(out)
    from .report.operator_tables import external_frame, write_external

    try:
        from .operators.external_libraries import check_external_libraries
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install torchdeq") from error
    frame = external_frame(check_external_libraries())
    print_frame(frame, "relative distance to central differences of the solved problem")
    if out is not None:
        write_external(frame, out)


@app.command()
def oracle(
    out: Annotated[Path | None, typer.Option("--out", help="Write oracle.md into this folder.")] = None,
) -> None:
    """Check reference gradients by differentiating tiny cone programmes. Exit code 1 if two disagree."""
    writable(out)
    try:
        from .oracle import AGREES, check_against_cone_programmes
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install --group oracle") from error
    from .report.operator_tables import oracle_frame, write_oracle

    checks = list(check_against_cone_programmes())
    frame = oracle_frame(checks)
    print_frame(frame, "relative distance of the reference gradient to the derivative of a cone programme")
    if out is not None:
        write_oracle(frame, out)
    if wrong := [check.task for check in checks if not check.agrees]:
        say(f"farther than {AGREES:g}: {'; '.join(wrong)}", "red")
        raise typer.Exit(1)


@app.command()
def check(
    what: Annotated[
        str, typer.Argument(help="A call: './my_solver.py:mine(10)', 'deq(1e-6)', 'deblurring(huber)'.")
    ],
    within: Annotated[
        float | None,
        typer.Option("--within", help="Largest relative error allowed for a solver's gradient, e.g. 1e-9."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print only the outcomes, as JSON.")] = False,
) -> None:
    """Check a solver, a task or an operator, and say what is wrong with it. Exit code 1 if a check fails."""
    from .check import print_checks

    if not print_checks(what, within, json):
        raise typer.Exit(1)


@app.command()
def docs() -> None:
    """Write the generated pages of docs/: the API reference, and the tables of claims and misuse."""
    from .report import write_pages

    for page in write_pages():
        print(page)  # noqa: T201


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2, with one line on standard error, for bad input."""
    return run_command(app, "python -m theory_checks", arguments)


if __name__ == "__main__":
    sys.exit(entry())
