"""The command ``python -m theory_checks``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.command import call, console, print_frame
from bench.errors import UserError, unknown

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def main() -> None:
    """Check the bounds behind gradients at equilibrium, with computed constants.

    \b
    python -m theory_checks verify
    python -m theory_checks verify --claims C4,C6 --examples 1000
    python -m theory_checks mutations
    """


@app.command()
def verify(
    claims: Annotated[str | None, typer.Option("--claims", help="Only these, e.g. C4,C6.")] = None,
    examples: Annotated[int, typer.Option("--examples", min=1, help="Examples a claim.")] = 100,
    out: Annotated[Path | None, typer.Option("--out", help="Write the tables and the figure there.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The verdicts as JSON, and nothing else.")] = False,
) -> None:
    """Run the claims; exit code 1 when one fails, has no teeth, or is not sharp where it should be."""
    from . import table
    from .claims import ROSTER
    from .verify import verify as run

    chosen = _chosen(claims, list(ROSTER))
    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file: choose a folder")
    verdicts = []
    for name in chosen:
        verdict = run(ROSTER[name], examples)
        verdicts.append(verdict)
        if not json:
            worst = f"worst ratio {verdict.worst:.3g}, {verdict.seconds:.1f} s"
            console.print(
                f"{name} {verdict.verdict}: {verdict.statement} ({worst})",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    if json:
        print(table.to_json(verdicts), end="")  # noqa: T201
    else:
        print_frame(table.frame(verdicts).drop(columns=["statement"]), "")
    if out is not None:
        table.write(verdicts, out)
    wrong = [v for v in verdicts if v.verdict not in table.GOOD]
    for v in wrong:
        console.print(
            f"{v.id} {v.verdict}: {v.detail or v.twin}",
            style="red",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if wrong:
        raise typer.Exit(1)


def _chosen(text: str | None, known: list[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()] if text is not None else known
    for name in names:
        if name not in known:
            raise unknown("claim", name, known)
    if not names:
        raise UserError("--claims names no claim: give e.g. C4,C6")
    return names


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return call(app, "python -m theory_checks", arguments)


if __name__ == "__main__":
    sys.exit(entry())
