"""Cells an hour with one worker and with several, in turns: ``python -m bench.throughput --help``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import torch

from .cluster import local
from .isolate import Pool
from .matrix import cells, load_profile
from .records import Manifest, Store
from .runner import Job, Work, images_for, plan


def seconds_of(jobs: list[Job], workers: int, ahead: int) -> tuple[float, float, float]:
    """The quality cells on Dask workers; 0 for one process at a time without Dask.

    Returns:
        Seconds of the start, until the first ``ahead`` cells have come back; seconds of all others;
        and those that the others' own clocks saw.
    """
    with tempfile.TemporaryDirectory(prefix="eqgrad-throughput-") as folder, ExitStack() as stack:
        store = Store(Path(folder, "out"))
        store.claim(Manifest("throughput", "", "", "cpu", [job.key for job in jobs]))
        work = Work(store.folder)
        begin = time.perf_counter()
        # The first cells import everything, once a worker: a run of hours does not notice.
        if workers:
            cluster = stack.enter_context(local(workers))
            pool = cluster.pool(work, store.folder, 0.0, True)
        else:
            pool = stack.enter_context(Pool(work, 1))
        for _ in pool(jobs[:ahead]):
            pass
        middle = time.perf_counter()
        for _ in pool(jobs[ahead:]):
            pass
        end = time.perf_counter()
        found = [store.read(job.key) for job in jobs]
        if any(record is None or record.status != "ok" for record in found):
            raise SystemExit("a cell failed: run the profile by itself to see why")
        inside = sum(record.provenance["seconds"] for record in found[ahead:] if record is not None)
    return middle - begin, end - middle, inside


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.throughput", description=__doc__)
    parser.add_argument("profile", help="of single-threaded cells, a few seconds each")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--task", action="append", help="only this task of the profile")
    given = parser.parse_args()
    profile = load_profile(given.profile)
    parts = list(zip(profile.parts(), cells(profile, given.task), strict=True))
    jobs, _ = plan(parts, images_for(parts, None), torch.device("cpu"))
    sides = (0, 1, given.workers)
    seen: dict[int, list[tuple[float, float, float]]] = {side: [] for side in sides}
    for i in range(given.rounds):
        for side in sides if i % 2 == 0 else reversed(sides):
            seen[side].append(seconds_of(jobs, side, given.workers))
            start, rest, inside = seen[side][-1]
            sys.stdout.write(f"{side} workers: start {start:.1f} s, {rest:.1f} s, in cells {inside:.1f} s\n")
            sys.stdout.flush()
    # Workers do not divide the count of cells: what the last ones leave idle is the matrix's, and stands in it.
    gains = [one[1] / more[1] for one, more in zip(seen[1], seen[given.workers], strict=True)]
    plain = [none[1] / more[1] for none, more in zip(seen[0], seen[given.workers], strict=True)]
    sys.stdout.write(
        f"{len(jobs)} cells: {given.workers} workers have {median(gains):.2f} times the throughput of one "
        f"({min(gains):.2f} to {max(gains):.2f}), and {median(plain):.2f} times that of --jobs 1\n"
    )
    for side, name in ((0, "--jobs 1"), (1, "--workers 1")):
        outside = [(rest - inside) / rest for _, rest, inside in seen[side]]
        sys.stdout.write(
            f"{name}: {median(outside):.1%} of the time is outside the cells (processes, store, Dask)\n"
        )


if __name__ == "__main__":
    main()
