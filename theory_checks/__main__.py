"""The command ``python -m theory_checks``."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.command import call, print_frame, say
from bench.errors import UserError
from bench.options import writable
from bench.terminal import aside, printed_json

if TYPE_CHECKING:
    from .verify import Verdict

CLAIMS = typer.Option("--claims", help="Only these: C4,C6, or a group: bounds, companions, inertia, 1.4.")

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def main() -> None:
    """Check the bounds behind gradients at equilibrium, with computed constants.

    \b
    python -m theory_checks verify
    python -m theory_checks verify --claims C4,C6 --examples 1000
    python -m theory_checks verify --claims companions
    python -m theory_checks verify --operator ./mine.py:operator
    python -m theory_checks check './my_solver.py:mine(10)'
    python -m theory_checks mutations
    python -m theory_checks attack
    """


@app.command()
def verify(
    claims: Annotated[str | None, CLAIMS] = None,
    examples: Annotated[int, typer.Option("--examples", min=1, help="Examples a claim.")] = 100,
    paper: Annotated[
        bool, typer.Option("--paper", help="Companions at the sizes of their papers, on a GPU.")
    ] = False,
    device: Annotated[
        str | None, typer.Option("--device", help="Of the companions: cpu, cuda, cuda:1, or auto.")
    ] = None,
    operator: Annotated[
        str | None, typer.Option("--operator", help="An operator of yours instead: ./file.py:factory.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the tables and the figure there.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The verdicts as JSON, and nothing else.")] = False,
) -> None:
    """Run the claims; exit code 1 when one fails, has no teeth, or is not sharp where it should be."""
    from bench.device import pick_device

    from . import rows, table
    from .judge import judge
    from .operator import case_of, examine, load
    from .real import check_all
    from .roster import choose, complete
    from .verify import verify as run

    chosen = choose(claims)
    where = str(pick_device(device)) if device is not None else None
    writable(out)
    verdicts = []
    if operator is not None:
        with aside():
            findings = examine(*case_of(load(operator), operator), chosen.names)
        if not findings:
            raise UserError(f"none of {', '.join(chosen.names)} can be checked on a single operator")
    else:
        runs = [partial(run, claim, examples) for claim in chosen.claims]
        runs += [
            partial(judge, e, group.at(paper, where)) for group in chosen.groups for e in group.experiments
        ]
        for each in runs:
            verdicts.append(verdict := each())
            if not json:
                say(_line(verdict))
        findings = check_all(tuple(claim.id for claim in chosen.claims))
    if json:
        print(printed_json(table.to_json(verdicts, findings)), end="")  # noqa: T201
    else:
        drawn = [v for v in verdicts if not v.mark]
        if drawn:
            print_frame(
                table.frame(drawn).drop(columns=["statement", "families"]),
                "on instances with exact constants",
            )
        if len(drawn) < len(verdicts):
            print_frame(rows.frame(verdicts), "measured at fixed seeds")
        if findings:
            print_frame(table.findings_frame(findings), "on operators")
    if out is not None:
        table.write(verdicts, findings, out)
        for group in chosen.groups if operator is None else ():
            rows.write(group, group.at(paper, where), verdicts, out, whole=complete(group))
    wrong = [f"{v.id} {v.verdict}: {v.detail or v.twin}" for v in verdicts if v.verdict not in table.GOOD]
    wrong += [f"{f.claim} {f.verdict} on {f.of}: {f.reason}" for f in findings if f.verdict == "FAILS"]
    for line in wrong:
        say(line, "red")
    if wrong:
        raise typer.Exit(1)


@app.command()
def mutations(
    claims: Annotated[str | None, CLAIMS] = None,
    examples: Annotated[int, typer.Option("--examples", min=1, help="Examples a claim.")] = 100,
    out: Annotated[Path | None, typer.Option("--out", help="Write mutations.md there.")] = None,
) -> None:
    """Break the code in every way listed, one at a time; exit code 1 when no claim notices one of them."""
    writable(out)
    from . import table
    from .roster import choose, fate_of

    fates = []
    for mutant in choose(claims).mutants:
        fates.append(fate := fate_of(mutant, examples))
        by = ", ".join(fate.caught) or "NOBODY"
        say(f"{mutant.name}: caught by {by} ({fate.seconds:.1f} s)", None if fate.caught else "red")
    print_frame(table.fates_frame(fates), "")
    if out is not None:
        table.write_fates(fates, out)
    if survivors := [fate.name for fate in fates if not fate.caught]:
        say(f"{len(survivors)} survived: {'; '.join(survivors)}", "red")
        raise typer.Exit(1)


@app.command()
def attack(
    trials: Annotated[int, typer.Option("--trials", min=1, help="How many.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Of all that is drawn.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="Write attack.md and attack.json there.")] = None,
) -> None:
    """Attack rigorous certificates with guided trials; exit code 1 when one is below the true error."""
    from .attack import attack as run
    from .attack import frame, write

    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: choose a folder")
    report = run(trials, seed)
    print_frame(frame(report), "rigorous certificates under attack")
    if out is not None:
        write(report, out)
    for one in report.false[:10]:
        say(f"false by {one.ratio:.3g}: {one.trial}", "red")
    if report.false:
        raise typer.Exit(1)


@app.command()
def peers(
    out: Annotated[Path | None, typer.Option("--out", help="Write peers.md there.")] = None,
) -> None:
    """Hold the implicit gradients of deepinv and torchdeq against C1, with small and with raised budgets."""
    writable(out)
    from . import table

    try:
        from .peers import examine_peers
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install torchdeq") from error
    found = table.peers_frame(examine_peers())
    print_frame(found, "relative distance to central differences of the solved problem")
    if out is not None:
        table.write_peers(found, out)


@app.command()
def check(
    what: Annotated[
        str, typer.Argument(help="A call: './my_solver.py:mine(10)', 'deq(1e-6)', 'deblurring(huber)'.")
    ],
    within: Annotated[
        float | None,
        typer.Option(
            "--within", help="The relative error that a solver's gradient is meant to keep, e.g. 1e-9."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The findings as JSON, and nothing else.")] = False,
) -> None:
    """Check a solver, a task or an operator, and say in words what is wrong with it; exit code 1 where something is."""
    from .check import check as run

    if not run(what, within, json):
        raise typer.Exit(1)


@app.command()
def docs() -> None:
    """Write the pages of docs/ that are made from the code and the tests: the reference, and tables."""
    from .pages import write

    for page in write():
        print(page)  # noqa: T201


def _line(v: Verdict) -> str:
    """A verdict in a line; why, where it was not tried or is known not to be met."""
    why = v.reason if v.verdict in ("assumption not met", "not met here") else f"worst ratio {v.worst:.3g}"
    return f"{v.id} {v.verdict}: {v.statement} ({why}, {v.seconds:.1f} s)"


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return call(app, "python -m theory_checks", arguments)


if __name__ == "__main__":
    sys.exit(entry())
