"""What the harness and the store cost: seconds of a run outside ``measure``, of all its seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.records.job import Job
from bench.records.record import Record
from bench.utils.provenance import ROOT

SLICE = ("unrolled(10)", "unrolled(40)", "jfb(40)", "restarted_jfb(10, 4)", "neumann(160, 40)", "deq(1e-06)")


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds of quality cells, one after another.

    Attributes:
        profile: which.
        cells: how many.
        seconds: of the whole command, from its start to its end, imports included; neither timings nor figures.
        measuring: of those, in ``measure``.
    """

    profile: str
    cells: int
    seconds: float
    measuring: float

    @property
    def share(self) -> float:
        """Of the seconds that were not spent on measuring."""
        return 1 - self.measuring / self.seconds

    def row(self) -> dict[str, object]:
        """As JSON has it."""
        return {**asdict(self), "share": self.share}


def overhead(profile: str, folder: Path, solvers: tuple[str, ...] = SLICE) -> Overhead:
    """Run the quality cells of a profile that have one of ``solvers`` (all for none), one at a time, and watch."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-m", __name__, profile, str(folder), *solvers]
    begin = time.monotonic()
    subprocess.run(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    seconds = time.monotonic() - begin
    found = [json.loads(line) for line in (folder / "seconds").read_text(encoding="utf-8").splitlines()]
    return Overhead(profile, len(found), seconds, sum(found))


@dataclass(frozen=True, slots=True)
class Timed:
    """In place of ``cell_process.CellWork``: the same, and the seconds in ``measure`` are noted.

    Attributes:
        out, shared: see there.
    """

    out: Path
    shared: bool = False

    def __call__(self, job: Any) -> Any:
        """Measure the cell in this process of its own, and publish its record."""
        from bench.execution import cell_process

        measure = cell_process.measure

        def timed(*arguments: Any) -> Any:
            begin = time.monotonic()
            found = measure(*arguments)
            with (self.out.parent / "seconds").open("a", encoding="utf-8") as file:
                file.write(f"{time.monotonic() - begin}\n")
            return found

        cell_process.measure = timed
        return CellWork(self.out)(job)


def main(profile: str, folder: str, *solvers: str) -> None:
    """The run that is watched."""
    from bench.execution.process_pool import start_forkserver

    start_forkserver()  # as the command does
    import torch

    from bench import timing
    from bench.config.matrix import load_profile
    from bench.execution import runner

    def no_timings(jobs: list[Job], end: float) -> Iterator[Record]:
        return iter(())

    # By its name in the package: the processes of cells know no other.
    from tests.resilience import overhead as itself

    runner.CellWork, timing.measure_costs = itself.Timed, no_timings  # pyright: ignore[reportAttributeAccessIssue]
    out, device = Path(folder) / "out", torch.device("cpu")
    runner.run_profile(load_profile(profile), out, device=device, solvers=list(solvers) or None, jobs=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
else:
    from bench.execution.cell_process import CellWork
