"""The command ``cell``."""

from __future__ import annotations

import typer

from ..utils.console import print_frame, say
from ..utils.errors import UserError
from ..utils.terminal import printed_json, stdout_to_stderr
from .options import Bf16, Device, Images, Json, OperatorCall, Seed, SizesOf, SolverCall, TaskCall, Weights


def cell(
    task: TaskCall,
    solver: SolverCall,
    operator: OperatorCall = None,
    seed: Seed = 0,
    profile: SizesOf = "quick",
    images: Images = None,
    device: Device = "auto",
    weights: Weights = None,
    bf16: Bf16 = False,
    json: Json = False,
) -> None:
    """Measure one task with one operator and one solver; store nothing.

    \b
    python -m bench cell --task 'deblurring(huber)' --solver 'restarted_jfb(10, 10)'
    python -m bench cell --task 'denoising(l1)' --solver './my_solver.py:mine(10)' --json
    """
    from ..analysis.tidy import tidy
    from ..config.lookup import DenoiserOptions
    from ..config.matrix import check_precision, load_profile, parse_user_cell
    from ..execution.cell_process import run_cell
    from ..execution.preparation import images_for, plan_jobs
    from ..operators import PlugAndPlayPrior
    from ..records.record import FINISHED
    from ..utils.device import pick_device

    chosen = load_profile(profile)
    denoisers = DenoiserOptions(weights, bf16)
    check_precision(chosen, denoisers)
    with stdout_to_stderr():
        one = parse_user_cell(task, solver, seed, denoisers, operator)
        if denoisers.flags() and not isinstance(one.task.prior, PlugAndPlayPrior):
            raise UserError(f"{denoisers.flags()}: {one.task.label} has no denoiser")
        where = pick_device(device)
        parts = [(chosen, [one])]
        (job, *_), _ = plan_jobs(parts, images_for(parts, images), where)
        record = run_cell(job, None)
    if json:
        print(printed_json(record.to_json()))  # noqa: T201
    else:
        column = tidy([record]).T.reset_index()
        column.columns = ["", str(one)]
        print_frame(column, "")
    if record.status not in FINISHED:
        say(record.reason, "red")
        raise typer.Exit(1)
