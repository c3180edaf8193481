"""The command ``trajectory``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..utils.console import say
from ..utils.terminal import stdout_to_stderr
from .options import Images, OperatorCall, Out, Seed, TaskCall


def trajectory(
    task: TaskCall,
    out: Out,
    operator: OperatorCall = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the descent.")] = 60,
    crop: Annotated[int, typer.Option(min=8, help="Side of the crops in pixels.")] = 48,
    crops: Annotated[int, typer.Option(min=1, help="Number of crops, all in one batch.")] = 2,
    seed: Seed = 0,
    eta: Annotated[
        float | None, typer.Option(help="Step size; 1/G by default, where G is the measured curvature.")
    ] = None,
    first: Annotated[float, typer.Option(help="First relative error of the schedule.")] = 0.3,
    last: Annotated[float, typer.Option(help="Smallest relative error of the schedule.")] = 0.01,
    solver: Annotated[
        list[str] | None, typer.Option(help="Solvers in place of the default ones.", metavar="SOLVER")
    ] = None,
    warm: Annotated[bool, typer.Option("--warm", help="Descend from warm starts too.")] = False,
    images: Images = None,
) -> None:
    """Compare descents by inexact gradients with the exact one.

    The errors of the gradients are certified and follow a schedule. The distance between both descents is bounded.

    \b
    python -m bench trajectory --task 'deblurring(huber)' --crops 1 --steps 40 --out results/trajectory
    """
    from ..config.lookup import parse_user_task
    from ..config.matrix import with_operator
    from ..studies.trajectory.report import (
        pick_solvers,
        schedule_of,
        trajectory_study,
        write_trajectory,
    )
    from ..tasks.images import Layout, find_images

    with stdout_to_stderr():
        chosen = with_operator(parse_user_task(task), operator).value
        descents, setting = trajectory_study(
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
    for file in write_trajectory(descents, setting, out):
        print(file)  # noqa: T201
