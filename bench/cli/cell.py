"""The command that measures one cell."""

from __future__ import annotations

from typing import Annotated

import typer

from ..utils.console import print_frame, say
from ..utils.errors import UserError
from ..utils.terminal import printed_json, stdout_to_stderr
from .options import Bf16, Device, Images, Json, Weights

cells = typer.Typer(rich_markup_mode=None)


@cells.command()
def cell(
    task: Annotated[str, typer.Option("--task", help="As in the tables, e.g. 'deblurring(huber)'.")],
    solver: Annotated[str, typer.Option("--solver", help="As in the tables, e.g. 'restarted_jfb(10, 10)'.")],
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    profile: Annotated[
        str, typer.Option("--profile", help="Sizes and training are this profile's.")
    ] = "quick",
    images: Images = None,
    device: Device = "auto",
    weights: Weights = None,
    bf16: Bf16 = False,
    json: Json = False,
) -> None:
    """Measure one cell here and now, and store nothing.

    \b
    python -m bench cell --task 'deblurring(huber)' --solver 'restarted_jfb(10, 10)'
    python -m bench cell --task 'denoising(l1)' --solver './my_solver.py:mine(10)' --json
    """
    from ..analysis.tidy import tidy
    from ..config.lookup import given_solver, given_task
    from ..config.matrix import Cell, DenoiserOptions, admits, check_precision, load_profile
    from ..execution.cell_process import run_cell
    from ..execution.preparation import images_for, plan_jobs
    from ..operators import PlugAndPlayPrior
    from ..records.record import FINISHED
    from ..utils.device import pick_device

    chosen = load_profile(profile)
    networks = DenoiserOptions(weights, bf16)
    check_precision(chosen, networks)
    with stdout_to_stderr():
        its_task, its_solver = given_task(task, networks), given_solver(solver)
        one = Cell(its_task.value, its_solver.value, seed, its_task.sources, its_solver.sources)
        if not admits(one.task, one.solver):
            raise UserError(
                f"{one.task.label} has parameters of its own for each of {one.task.prior.layers} layers: "
                f"give --solver 'unrolled({one.task.prior.layers})'"
            )
        if networks.given() and not isinstance(one.task.prior, PlugAndPlayPrior):
            raise UserError(f"{networks.given()}: {one.task.label} has no denoiser")
        where = pick_device(device)
        (job, *_), _ = plan_jobs([(chosen, [one])], images_for([(chosen, [one])], images), where)
        record = run_cell(job, None)
    if json:
        print(printed_json(record.to_json()))  # noqa: T201
    else:
        shown = tidy([record]).T.reset_index()
        shown.columns = ["", str(one)]
        print_frame(shown, "")
    if record.status not in FINISHED:
        say(record.reason, "red")
        raise typer.Exit(1)
