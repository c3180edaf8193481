"""The command ``advise``."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Annotated

import typer

from ..utils.terminal import printed_json
from .options import Folder, Json


def advise(
    folder: Folder,
    within: Annotated[
        float,
        typer.Option(min=1e-12, max=1, help="Limit on the relative error of the gradient.", metavar="ERROR"),
    ] = 0.01,
    memory: Annotated[
        float, typer.Option(min=0, help="Limit on the tape of a training step in MiB.", metavar="MIB")
    ] = math.inf,
    milliseconds: Annotated[
        bool, typer.Option("--milliseconds", help="Count the cost in milliseconds, not in products.")
    ] = False,
    json: Json = False,
) -> None:
    """Say what to take, in a sentence a task and one for the run.

    \b
    python -m bench advise results/quick
    python -m bench advise results/quick --within 0.001 --memory 8
    """
    from json import dumps

    from ..analysis.pareto import COSTS
    from ..analysis.recommendation import candidates
    from ..analysis.tidy import tidy
    from ..records.store import load
    from ..report.verdict import Limits, run_verdict

    frame, limits = tidy(load(folder)), Limits(within, memory, COSTS[1 if milliseconds else 0])
    verdict = run_verdict(frame, candidates(frame), limits)
    if json:
        print(printed_json(dumps(asdict(verdict), ensure_ascii=False)))  # noqa: T201
        return
    for line in verdict.lines():
        print(line)  # noqa: T201
