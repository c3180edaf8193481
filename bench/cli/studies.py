"""Commands that ask how wrong gradients are, and what fits in memory."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from ..utils.console import print_frame, say
from ..utils.errors import UserError
from ..utils.terminal import printed_json, stdout_to_stderr
from .options import Device, Images, Out

studies = typer.Typer(rich_markup_mode=None)


@studies.command()
def certify(
    task: Annotated[str, typer.Option("--task", help="As in the tables, e.g. 'deblurring(huber)'.")],
    solver: Annotated[str, typer.Option("--solver", help="Ours or a peer's, e.g. 'restarted_jfb(10, 10)'.")],
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    profile: Annotated[str, typer.Option("--profile", help="Sizes and dtype are this profile's.")] = "quick",
    images: Images = None,
    device: Device = "auto",
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Measure the constants, even where the task knows them.")
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit/--no-audit", help="Hold the gradient against a better, certified one.")
    ] = True,
    oracle: Annotated[
        bool, typer.Option("--oracle/--no-oracle", help="Hold it against the float64 reference as well.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object on standard output, and nothing else.")
    ] = False,
) -> None:
    """Bound the error of one gradient at the initial parameters, and store nothing.

    \b
    python -m bench certify --task 'deblurring(huber)' --solver 'restarted_jfb(10, 10)'
    """
    from ..config.lookup import given_solver, given_task
    from ..config.matrix import Cell, load_profile
    from ..execution.preparation import images_for
    from ..studies.certificates.certify import CertifyOptions, certificate_json, examine, to_frame
    from ..utils.device import pick_device

    chosen = load_profile(profile)
    with stdout_to_stderr():
        its_task, its_solver = given_task(task), given_solver(solver)
        one = Cell(its_task.value, its_solver.value, seed, its_task.sources, its_solver.sources)
        where = pick_device(device)
        wishes = CertifyOptions(estimate, audit, oracle)
        found = examine(one, chosen, images_for([(chosen, [one])], images), where, wishes)
    if json:
        print(printed_json(certificate_json(found, one, wishes)))  # noqa: T201
    else:
        print_frame(to_frame(found, str(one)), "")


@studies.command()
def trajectory(
    task: Annotated[str, typer.Option("--task", help="As in the tables, e.g. 'deblurring(huber)'.")],
    out: Out,
    steps: Annotated[int, typer.Option("--steps", min=1)] = 60,
    crop: Annotated[int, typer.Option("--crop", min=8, help="Side of the crops in pixels.")] = 48,
    crops: Annotated[int, typer.Option("--crops", min=1, help="How many; all are in the one batch.")] = 2,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    eta: Annotated[
        float | None, typer.Option("--eta", help="Step size; by default 1/G, with G measured.")
    ] = None,
    first: Annotated[float, typer.Option("--first", help="The schedule's first relative error.")] = 0.3,
    last: Annotated[float, typer.Option("--last", help="And its smallest.")] = 0.01,
    solver: Annotated[list[str] | None, typer.Option("--solver", help="In place of the usual ones.")] = None,
    warm: Annotated[bool, typer.Option("--warm", help="All of it from warm starts as well.")] = False,
    images: Images = None,
) -> None:
    """Descend with a schedule of certified errors beside the DEQ trajectory, with a bound on their distance.

    \b
    python -m bench trajectory --task 'deblurring(huber)' --crops 1 --steps 40 --out results/trajectory
    """
    from ..config.lookup import given_task
    from ..studies.trajectory.report import (
        pick_solvers,
        schedule_of,
        trajectory_study,
        write_trajectory,
    )
    from ..tasks.images import Layout, find_images

    with stdout_to_stderr():
        chosen = given_task(task).value
        found, setting = trajectory_study(
            chosen,
            pick_solvers(solver),
            schedule_of(first, last),
            find_images(images, colour=chosen.channels == 3),
            Layout(crop, crops, 1),
            seed,
            steps,
            eta,
            warm,
            say,
        )
    for file in write_trajectory(found, setting, out):
        print(file)  # noqa: T201


@studies.command()
def certificates(
    out: Out,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="rigorous, estimates or depths; all three by default.")
    ] = None,
    timing: Annotated[
        bool, typer.Option("--timing", help="Time training steps with certificates instead: minutes, alone.")
    ] = False,
    images: Images = None,
) -> None:
    """Measure certificates on real operators: bounds against actual errors, and what they cost (20 minutes).

    \b
    python -m bench certificates --out results/certificates
    """
    from ..studies.certificates.study import PARTS, TIMING, certificate_study

    if timing and part:
        raise UserError("--timing measures no other part: leave out --part")
    chosen = [TIMING] if timing else part or list(PARTS)

    for file in certificate_study(out, chosen, images, progress=say):
        print(file)  # noqa: T201


@studies.command()
def largest(
    out: Out,
    task: Annotated[list[str] | None, typer.Option("--task", help="In place of the usual ones.")] = None,
    solver: Annotated[list[str] | None, typer.Option("--solver", help="In place of the usual ones.")] = None,
    limit: Annotated[
        str | None,
        typer.Option("--limit", metavar="SIZE", help="256MiB, 78GiB; on a GPU what is free by default."),
    ] = None,
    grid: Annotated[
        int, typer.Option("--grid", min=8, max=4096, help="Sides are multiples of it, in pixels.")
    ] = 64,
    within: Annotated[
        str | None,
        typer.Option("--within", metavar="TIME", help="Begin no step after so long (90s, 8m)."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Search the largest image whose training step fits in memory, for each task and solver.

    \b
    python -m bench largest --out results/largest --limit 256MiB --device cpu
    """
    from ..config.lookup import given_solver, given_task
    from ..execution.time_budget import seconds_of
    from ..studies.largest_image.study import SOLVERS, TASKS, study
    from ..studies.largest_image.trial import limit_on
    from ..utils.device import pick_device

    where, seconds = pick_device(device), math.inf if within is None else seconds_of(within)
    with stdout_to_stderr():
        tasks = [given_task(text).value for text in task or TASKS]
        solvers = [given_solver(text).value for text in solver or SOLVERS]
    found = study(
        tasks,
        solvers,
        out,
        device=where,
        limit=limit_on(where, limit),
        grid=grid,
        within=seconds,
        progress=say,
    )
    for file in found:
        print(file)  # noqa: T201
