"""The command ``slurm``."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import Out, ProfileName


def slurm(
    profile: ProfileName,
    out: Out,
    options: Annotated[
        list[str] | None, typer.Argument(help="Further options of run, after --: -- --images FOLDER")
    ] = None,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs, with a worker each; 0 for a CPU run.")] = 0,
    time: Annotated[str, typer.Option(help="Time limit, as SLURM writes it.")] = "24:00:00",
    partition: Annotated[str | None, typer.Option(help="Partition of the cluster.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Workers of a CPU run.")] = 1,
) -> None:
    """Print a batch script that runs a profile on SLURM.

    \b
    python -m bench slurm paper --out results/paper --gpus 8 > job.sh
    sbatch job.sh
    """
    from ..config.matrix import load_profile
    from ..execution.slurm_script import BatchJob

    chosen = load_profile(profile)
    job = BatchJob(
        profile, chosen.name, out, chosen.threads, tuple(options or ()), gpus, workers, time, partition
    )
    print(job.script(), end="")  # noqa: T201
