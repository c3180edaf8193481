"""The command ``published``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..utils.console import say
from ..utils.terminal import stdout_to_stderr
from .options import Images, Out


def published(
    weights: Annotated[
        Path, typer.Option(help="Folder of weight files in the layout of arXiv 2510.01755.", metavar="FOLDER")
    ],
    out: Out,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Weight files whose name has this text; all by default.", metavar="TEXT"),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds.")] = 1,
    crop: Annotated[int, typer.Option(min=8, help="Side of the crops in pixels.")] = 64,
    crops: Annotated[int, typer.Option(min=1, help="Number of crops, all in one batch.")] = 2,
    images: Images = None,
    psnr: Annotated[
        list[str] | None,
        typer.Option(help="Folders of images to denoise too, for PSNR; none by default.", metavar="FOLDER"),
    ] = None,
    first: Annotated[
        int | None,
        typer.Option(min=1, help="Images of each of these folders, the first by name; all by default."),
    ] = None,
    side: Annotated[int, typer.Option(min=8, help="Side of their crops in pixels.")] = 128,
    report: Annotated[
        bool, typer.Option("--report", help="Measure nothing, and write the tables of what the folder holds.")
    ] = False,
) -> None:
    """Compare gradients of learned regularisers with published weights: products, and error against a reference.

    Weights are those of convex (crr) and weakly convex (wcrr) ridge regularisers and input-convex networks (icnn), for
    denoising. Rows that the folder holds are not measured again. The tables name what is not measured.

    \b
    python -m bench published --weights WEIGHTS --out results/published
    """
    from ..studies.published.study import Plan, published_study, published_tables
    from ..studies.published.weights import chosen, published_weights
    from ..tasks.images import Layout, find_images

    with stdout_to_stderr():
        found = chosen(published_weights(weights), only)
        plan = Plan(
            found,
            find_images(images),
            Layout(crop, crops, 1),
            seeds,
            photographs=[find_images(folder) for folder in psnr or ()],
            first=first,
            side=side,
        )
        files = published_tables(plan, out) if report else published_study(plan, out, say)
    for file in files:
        print(file)  # noqa: T201
