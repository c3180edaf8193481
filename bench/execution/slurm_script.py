"""The batch script that runs a matrix on SLURM: a scheduler, its workers, and the run that gives them work."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from ..utils.errors import UserError
from .dask_cluster import environment

TIME = re.compile(r"(\d+-)?\d+(:\d\d){0,2}")
PARTITION = re.compile(r"[A-Za-z0-9_.-]+(,[A-Za-z0-9_.-]+)*")

SCRIPT = """\
#!/bin/bash
{directives}
# Submit it from the checkout, in the environment of the project: sbatch job.sh
# Submitted again, it goes on from what is stored.
set -u -o pipefail
cd "${{SLURM_SUBMIT_DIR:-.}}" || exit 1
export PYTHONPATH="$PWD${{PYTHONPATH:+:$PYTHONPATH}}"
export OMP_NUM_THREADS={threads}
{settings}
out={out}
# Beside the folder and not in it: a folder with other files in it is no run's.
address="$out.scheduler-${{SLURM_JOB_ID:-$$}}.json"
mkdir -p "$(dirname "$out")" || exit 1

started=()
# Reached from the traps alone.
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
# The shell that it is for expands it.
# shellcheck disable=SC2016
worker='{pin}exec python -m dask worker --nthreads 1 --memory-limit 0 --no-dashboard \\
    --death-timeout {patience} --scheduler-file "$1"'
srun --ntasks={workers} --cpus-per-task={threads} --kill-on-bad-exit=0 --wait=0 bash -c "$worker" worker "$address" &
started+=($!)

# In the background, since a shell that waits for a command in the foreground hears no signal.
{run} --out "$out" --scheduler "$address" &
started+=($!)
wait $!
"""
PIN = (
    'IFS=, read -ra cards <<< "${CUDA_VISIBLE_DEVICES:-$SLURM_LOCALID}"; '
    'export CUDA_VISIBLE_DEVICES="${cards[SLURM_LOCALID % ${#cards[@]}]}"; '
)
PATIENCE = 120
"""Seconds that the scheduler has to start, and the workers to find it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of SLURM.

    Attributes:
        gpus: how many, with a worker each; 0 for a CPU run.
        workers: how many of those without a GPU.
        time: at most, as SLURM writes it: minutes, ``24:00:00`` or ``2-00:00:00``.
        partition: the cluster's; ``None`` for its default.
    """

    gpus: int = 0
    workers: int = 1
    time: str = "24:00:00"
    partition: str | None = None

    def __post_init__(self) -> None:
        """Raise ``UserError`` for what would not be a word of a directive."""
        if not TIME.fullmatch(self.time):
            raise UserError(f"--time {self.time!r}: write 90 (minutes), 24:00:00 or 2-00:00:00")
        if self.partition is not None and not PARTITION.fullmatch(self.partition):
            raise UserError(f"--partition {self.partition!r} is no name of one")


@dataclass(frozen=True, slots=True)
class Matrix:
    """What is run.

    Attributes:
        profile: as it is written on the command line; ``name`` is the one inside it.
        out: folder of the run, which all nodes see.
        threads: of a cell.
        options: further ones of ``python -m bench run``.
    """

    profile: str
    name: str
    out: Path
    threads: int
    options: list[str] = field(default_factory=list[str])


def batch_script(matrix: Matrix, request: Request) -> str:
    """The batch script. It is stopped two minutes before its time is up; what is stored by then stays."""
    workers = request.gpus or request.workers
    directives = {
        "job-name": f"eqgrad-{matrix.name}",
        "ntasks": workers,
        "cpus-per-task": matrix.threads,
        "time": request.time,
        "signal": "B:TERM@120",
        **({"gpus-per-task": 1} if request.gpus else {}),
        **({"partition": request.partition} if request.partition else {}),
    }
    device = "cuda" if request.gpus else "cpu"
    run = ["python", "-m", "bench", "run", matrix.profile, "--device", device, *matrix.options]
    return SCRIPT.format(
        directives="\n".join(f"#SBATCH --{name}={value}" for name, value in directives.items()),
        settings="\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment().items()),
        # A path that begins with a hyphen would be an option.
        out=shlex.quote(f"./{matrix.out}" if str(matrix.out).startswith("-") else str(matrix.out)),
        comment="One single-threaded worker a GPU." if request.gpus else "One single-threaded worker a core.",
        pin=PIN if request.gpus else "",
        run=shlex.join(run),
        workers=workers,
        threads=matrix.threads,
        patience=PATIENCE,
    )
