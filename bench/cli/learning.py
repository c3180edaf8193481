"""The command ``learning``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..utils.console import say
from ..utils.terminal import stdout_to_stderr
from .options import Images, Out


def learning(
    out: Out,
    task: Annotated[
        list[str] | None, typer.Option(help="Tasks in place of the default ones.", metavar="TASK")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Rows whose label has this text; all by default.", metavar="TEXT"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 3,
    crop: Annotated[int, typer.Option(min=8, help="Side of the crops in pixels.")] = 64,
    crops: Annotated[int, typer.Option(min=1, help="Number of crops, all in one batch.")] = 4,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Largest number of steps of a row; its own by default.")
    ] = None,
    images: Images = None,
) -> None:
    """Compare what it costs to learn: products, seconds and tape to 90, 99 and 99.9 % of the gain.

    Each row is an operator, an estimator and an optimiser. Rows that the folder holds are not measured again.

    \b
    python -m bench learning --out results/learning
    """
    from ..config.lookup import parse_user_task
    from ..studies.learning.rows import REFERENCE, choose, shortened
    from ..studies.learning.study import TASKS, Plan, learning_study
    from ..tasks.images import Layout, find_images

    with stdout_to_stderr():
        tasks = [parse_user_task(text).value for text in task or TASKS]
        found = find_images(images, colour=any(each.channels == 3 for each in tasks))
        plan = Plan(tasks, shortened(choose(only), steps), REFERENCE, found, Layout(crop, crops, 1), seeds)
        files = learning_study(plan, out, say)
    for file in files:
        print(file)  # noqa: T201
