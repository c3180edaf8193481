"""The gradient on a whole volume: its error, seconds and memory.

python -m bench.studies.largest_image.whole_volume --file ch2.nii.gz --out results/whole-volume
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer

from ...utils.atomic_files import make_folder, write_atomically
from ...utils.console import run_command, say
from ...utils.provenance import provenance
from .isolated import isolated_step, relative_error
from .step import Step, step_of
from .trial import UNITS

TASK = "deblurring_volume(huber)"
OPERATOR = "peaceman_rachford(depth=10)"
SOLVERS = (
    "implicit(anderson(0.001, every=2), gmres(0.012))",
    "restarted_jfb(10, 1)",
)
REFERENCE = "implicit(anderson(1e-5, 500), gmres(1e-4, 500))"
"""In float64."""

app = typer.Typer(add_completion=False)


@app.command()
def main(
    file: Annotated[Path, typer.Option(help="A volume: .nii, .nii.gz or .npy.")],
    out: Annotated[Path, typer.Option(help="Folder of the record and the table.")],
    task: Annotated[str, typer.Option(help="A task of volumes.")] = TASK,
    operator: Annotated[str, typer.Option(help="Of the solvers and the reference.")] = OPERATOR,
    solver: Annotated[list[str] | None, typer.Option(help="In place of the default ones.")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Take one step of each solver on a volume in float32, and compare it with a far tighter one in float64.

    Every step runs in a process of its own, one after another. Sides are extended to multiples of 8 by the mirror
    image. A reference that the folder already holds is taken from there.

    \b
    python -m bench.studies.largest_image.whole_volume --file ch2.nii.gz --out results/whole-volume
    """
    make_folder(out)
    record = out / "whole_volume.json"
    of = {"file": file.name, "task": task, "operator": operator, "threads": threads, "solver": REFERENCE}
    stored = json.loads(record.read_text()) if record.exists() else {}
    if stored.get("of") == of:
        exact = step_of(stored["reference"])
    else:
        exact = isolated_step(task, operator, REFERENCE, file=file, double=True, threads=threads)
    say(
        f"reference: {exact.seconds:.0f} s, {exact.peak / UNITS['GiB']:.2f} GiB, converged: {exact.converged}"
    )
    found: dict[str, Step] = {}

    def write() -> None:
        steps = {name: asdict(step) | {"error": relative_error(step, exact)} for name, step in found.items()}
        fields = {
            "of": of,
            "reference": asdict(exact),
            "steps": steps,
            "provenance": provenance(torch.device("cpu")),
        }
        write_atomically(record, json.dumps(fields, ensure_ascii=False, indent=1))
        write_atomically(out / "whole_volume.md", table(task, operator, threads, found, exact))

    write()
    for text in solver or SOLVERS:
        found[text] = isolated_step(task, operator, text, file=file, threads=threads)
        say(_line(text, found[text], exact))
        write()


def table(task: str, operator: str, threads: int, found: dict[str, Step], exact: Step) -> str:
    """The steps as a table in Markdown, one row each."""
    sides = "×".join(map(str, exact.sides))
    head = (
        f"# One gradient on a volume of {sides}\n\n`{task}` on `{operator}`, float32, {threads} threads; errors "
        f"against `{REFERENCE}` in float64, which {'converged' if exact.converged else 'did not converge'} and took "
        f"{exact.seconds:.0f} s and {exact.peak / UNITS['GiB']:.2f} GiB.\n\n"
        "| solver | error | applications | products | seconds | of the processor | GiB of the process | of the step |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(_row(text, step, exact) for text, step in found.items()) + LEGEND


def _row(text: str, step: Step, exact: Step) -> str:
    gib = [f"{size / UNITS['GiB']:.2f}" for size in (step.peak, step.step_peak)]
    cells = [f"`{text}`", f"{100 * relative_error(step, exact):.3g} %", f"{step.applications:g}"]
    cells += [f"{step.products:g}", f"{step.seconds:.0f}", f"{step.cpu_seconds:.0f}", *gib]
    return f"| {' | '.join(cells)} |\n"


def _line(text: str, step: Step, exact: Step) -> str:
    return (
        f"{text}: error {100 * relative_error(step, exact):.3g} %, {step.seconds:.0f} s, "
        f"{step.peak / UNITS['GiB']:.2f} GiB"
    )


LEGEND = """
---
*seconds* are of the step, without reading the volume and the set-up of the operator, by the clock; *of the processor*
are those of all threads together. *GiB of the process* is its largest resident set, with Python, its libraries and the
set-up; *of the step* is the largest one during the step.
"""


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return run_command(app, "python -m bench.studies.largest_image.whole_volume", arguments)


if __name__ == "__main__":
    sys.exit(entry())
