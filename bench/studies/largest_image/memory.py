"""The largest image and volume in a given memory, for each estimator.

python -m bench.studies.largest_image.memory --out results/memory --limit 3GiB
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from ...config.lookup import parse_operator, parse_solver, parse_task
from ...report.figure_style import save_figure
from ...utils.atomic_files import make_folder, write_atomically
from ...utils.console import run_command, say
from ...utils.errors import UserError
from ...utils.provenance import provenance
from .depth import errors_on, smallest_depth
from .isolated import isolated_step
from .memory_report import Row, draw, to_markdown
from .prediction import fitted
from .step import MULTIPLE, Step, step_of
from .trial import bytes_of

TASKS = {3: "deblurring_volume(huber)", 2: "deblurring(huber)"}
SPLIT, PLAIN = "peaceman_rachford(depth=10)", "forward_backward"
SOLVERS = {
    SPLIT: (
        "implicit(anderson(0.001, every=2), gmres(0.012))",
        "restarted_jfb(10, 1)",
        "neumann(12, 12)",
        "deq(0.001)",
    ),
    PLAIN: ("implicit(anderson(5e-06), gmres(0.0002))",),
}
"""Beside ``unrolled(K)`` and ``checkpointed(K)`` with the smallest K within the goal."""
ERROR_SIDES = {2: (128, 128), 3: (32, 32, 32)}
"""Size at which errors and depths are found."""
FIRST = {2: (256, 512), 3: (32, 56)}
"""Sides of the first two steps; a third is as large as they predict for the limit."""

app = typer.Typer(add_completion=False)


def sizes(steps: list[Step], axes: int, limit: float, most: int) -> int | None:
    """The side of the next step, after those taken; ``None`` after three, or where the limit leaves none."""
    if len(steps) < len(FIRST[axes]):
        return FIRST[axes][len(steps)]
    if len(steps) > len(FIRST[axes]):
        return None
    predicted = fitted(steps).largest_side(limit, axes)
    allowed = int(most ** (1 / axes)) // MULTIPLE * MULTIPLE
    side = min(predicted, allowed)
    return side if side > steps[-1].sides[0] else None


def measured(axes: int, operator: str, solver: str, limit: float, most: int) -> tuple[Step, ...]:
    """Steps of growing sizes, each in a process of its own."""
    steps: list[Step] = []
    while (side := sizes(steps, axes, limit, most)) is not None:
        steps.append(isolated_step(TASKS[axes], operator, solver, (side,) * axes))
        say(f"{solver} on {operator}: {side}, {steps[-1].peak / 2**30:.2f} GiB, {steps[-1].seconds:.0f} s")
    return tuple(steps)


def solvers_of(axes: int, operator: str, goal: float) -> dict[str, float]:
    """The estimators on an operator, each with the error of its gradient."""
    error = errors_on(replace(parse_task(TASKS[axes]), splitting=parse_operator(operator)), ERROR_SIDES[axes])
    depth = smallest_depth(error, goal)
    if depth is None:
        raise UserError(f"no unrolling of {operator} reaches {goal:g}")
    texts = [f"unrolled({depth})", *SOLVERS[operator], f"checkpointed({depth})"]
    return {text: error(parse_solver(text)) for text in texts}


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder of the record, the table and the figure.")],
    limit: Annotated[str, typer.Option(metavar="SIZE", help="No step is meant to take more.")] = "3GiB",
    most: Annotated[int, typer.Option(min=10_000, help="Pixels or voxels of the largest step.")] = 700_000,
    goal: Annotated[float, typer.Option(min=0, max=1, help="Error that an unrolling must reach.")] = 0.01,
) -> None:
    """Measure the memory of a step of each estimator at growing sizes, and predict it beyond.

    A stopped study goes on where it ended.

    \b
    python -m bench.studies.largest_image.memory --out results/memory --limit 3GiB
    """
    torch.set_num_threads(1)
    make_folder(out)
    record = out / "memory.json"
    stored = json.loads(record.read_text()) if record.exists() else {"errors": {}, "rows": []}
    rows = [_row(fields) for fields in stored["rows"]]

    def write() -> None:
        fields = stored | {
            "rows": [asdict(row) for row in rows],
            "provenance": provenance(torch.device("cpu")),
        }
        write_atomically(record, json.dumps(fields, ensure_ascii=False, indent=1))
        if rows:
            write_atomically(out / "memory.md", to_markdown(rows))
            save_figure(draw(rows), "memory", out)

    for axes, task in TASKS.items():
        for operator in SOLVERS:
            key = f"{task} on {operator}"
            if key not in stored["errors"]:
                stored["errors"][key] = solvers_of(axes, operator, goal)
                write()
            for solver, error in stored["errors"][key].items():
                say(f"{key}: {solver} has an error of {100 * error:.2g} %")
                if any((row.axes, row.operator, row.solver) == (axes, operator, solver) for row in rows):
                    continue
                steps = measured(axes, operator, solver, bytes_of(limit), most)
                rows.append(Row(axes, operator, solver, error, steps))
                write()
    say(str(out / "memory.md"))


def _row(fields: dict[str, Any]) -> Row:
    """A row as it was stored."""
    given: dict[str, Any] = fields | {"steps": tuple(map(step_of, fields["steps"]))}
    return Row(**given)


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return run_command(app, "python -m bench.studies.largest_image.memory", arguments)


if __name__ == "__main__":
    sys.exit(entry())
