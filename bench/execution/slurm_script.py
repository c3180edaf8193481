"""The batch script that runs a matrix on SLURM: a Dask scheduler, its workers, and the run.

Everything is in one job. ``dask_jobqueue.SLURMCluster`` would submit a job for each worker, from a process that has to
live on a login node until the end, and its script names this machine's Python. ``dask_jobqueue.SLURMRunner`` would give
a task with a GPU each to the scheduler and to the run.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ..utils.errors import UserError
from .dask_cluster import environment

TIME = re.compile(r"(\d+-)?\d+(:\d\d){0,2}")
PARTITION = re.compile(r"[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)*")

SCRIPT = """\
#!/bin/bash
{directives}
# Submit it from the checkout, in the environment of the project: sbatch job.sh
# Submitted again, it measures what is missing.
set -u -o pipefail
cd "${{SLURM_SUBMIT_DIR:-.}}" || exit 1
export PYTHONPATH="$PWD${{PYTHONPATH:+:$PYTHONPATH}}"
export OMP_NUM_THREADS={threads}
{settings}
out={out}
# Not in the folder: run refuses a folder that holds other files.
address="$out.scheduler-${{SLURM_JOB_ID:-$$}}.json"
mkdir -p "$(dirname "$out")" || exit 1

started=()
# Called by traps only.
# shellcheck disable=SC2317,SC2329
stop() {{
    trap - EXIT
    kill "${{started[@]}}" 2>/dev/null
    wait
    rm -f "$address"
}}
trap stop EXIT
trap 'exit 143' TERM INT

python -m dask scheduler --port 0 --no-dashboard --dashboard-address :0 --scheduler-file "$address" &
started+=($!)
for _ in $(seq {patience}); do
    [ -s "$address" ] && break
    kill -0 "${{started[0]}}" 2>/dev/null || exit 1
    sleep 1
done

# {comment}
# Each worker's shell expands the variables, not this one.
# shellcheck disable=SC2016
worker='{pin}exec python -m dask worker --nthreads 1 --memory-limit 0 --no-dashboard \\
    --death-timeout {patience} --scheduler-file "$1"'
srun --ntasks={workers} --cpus-per-task={threads} --kill-on-bad-exit=0 --wait=0 bash -c "$worker" worker "$address" &
started+=($!)

# In the background: bash runs traps only after a foreground command has ended.
{run} --out "$out" --scheduler "$address" &
started+=($!)
wait $!
"""
PIN = (
    'IFS=, read -ra cards <<< "${CUDA_VISIBLE_DEVICES:-$SLURM_LOCALID}"; '
    'export CUDA_VISIBLE_DEVICES="${cards[SLURM_LOCALID % ${#cards[@]}]}"; '
)
PATIENCE = 120
"""Seconds for the scheduler to start, and for workers to find it."""


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A run of a profile, and the resources to ask SLURM for.

    Attributes:
        profile: as on the command line; ``name`` is the profile's own.
        out: folder of the run, which all nodes see.
        threads: threads of a cell.
        options: further options of ``python -m bench run``.
        gpus: number of GPUs, with one worker each; 0 for a CPU run.
        workers: number of workers of a CPU run.
        time: time limit in a format of SLURM: minutes, ``24:00:00`` or ``2-00:00:00``.
        partition: ``None`` for the default of the cluster.
    """

    profile: str
    name: str
    out: Path
    threads: int
    options: tuple[str, ...] = ()
    gpus: int = 0
    workers: int = 1
    time: str = "24:00:00"
    partition: str | None = None

    def __post_init__(self) -> None:
        """Raise ``UserError`` for values that would break a directive."""
        if not TIME.fullmatch(self.time):
            raise UserError(f"--time {self.time!r}: write 90 (minutes), 24:00:00 or 2-00:00:00")
        if self.partition is not None and not PARTITION.fullmatch(self.partition):
            raise UserError(f"--partition {self.partition!r} is not the name of a partition")

    def script(self) -> str:
        """The batch script. SLURM stops it two minutes before the time limit; finished cells are stored."""
        workers = self.gpus or self.workers
        directives = {
            "job-name": f"eqgrad-{self.name}",
            "ntasks": workers,
            "cpus-per-task": self.threads,
            "time": self.time,
            "signal": "B:TERM@120",
            **({"gpus-per-task": 1} if self.gpus else {}),
            **({"partition": self.partition} if self.partition else {}),
        }
        device = "cuda" if self.gpus else "cpu"
        run = ["python", "-m", "bench", "run", self.profile, "--device", device, *self.options]
        return SCRIPT.format(
            directives="\n".join(f"#SBATCH --{name}={value}" for name, value in directives.items()),
            settings="\n".join(f"export {name}={shlex.quote(v)}" for name, v in environment().items()),
            # A path that begins with a hyphen would be an option.
            out=shlex.quote(f"./{self.out}" if str(self.out).startswith("-") else str(self.out)),
            comment="One single-threaded worker a GPU."
            if self.gpus
            else "One single-threaded worker a core.",
            pin=PIN if self.gpus else "",
            run=shlex.join(run),
            workers=workers,
            threads=self.threads,
            patience=PATIENCE,
        )
