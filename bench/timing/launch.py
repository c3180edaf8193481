"""Run the timings in a new pytest process, and turn its report into records."""

from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TextIO

import torch

from .. import IMPORTED_FROM
from ..records.job import Job
from ..records.record import Record
from ..utils.provenance import provenance

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
"""Fixed thresholds of glibc's malloc. By default they adapt, and identical runs took 1.88 or 2.59 ms."""


def measure_costs(jobs: list[Job], end: float = math.inf) -> Iterator[Record]:
    """Make timings one after another in one process, and yield the record of each as it ends.

    At ``end``, on the clock of ``time.monotonic``, the process is ended; timings that it has not made have no record. A
    timing that fails has a record with the status ``error``, or ``oom`` for a lack of memory.
    """
    if not jobs:
        return
    with tempfile.TemporaryDirectory(prefix="eqgrad-cost-") as folder:
        plan, report = Path(folder, "plan.pickle"), Path(folder, "report.jsonl")
        plan.write_bytes(pickle.dumps(jobs))
        report.touch()
        # Nobody writes to this pipe: it closes when this process ends, and then the timings end too.
        reader, writer = os.pipe()
        words = f"-m bench.timing.exit_with_parent {reader} pytest -q -p no:cacheprovider -p no:xdist"
        command = [sys.executable, *words.split()]
        command += [
            str(Path(__file__).parent / "test_step.py"),
            f"--rootdir={IMPORTED_FROM}",
            "-k",
            "test_step",
        ]
        command += ["--benchmark-disable-gc", f"--cost-plan={plan}", f"--cost-report={report}"]
        with (
            Path(folder, "log").open("w+", encoding="utf-8") as log,
            os.fdopen(writer, "wb"),
            os.fdopen(reader, "rb"),
            subprocess.Popen(
                command,
                cwd=IMPORTED_FROM,
                env=os.environ | ALLOCATOR | {"PYTHONPATH": _path()},
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(reader,),
            ) as process,
            report.open(encoding="utf-8") as lines,
        ):
            try:
                done = yield from _follow(process, lines, {job.key: job for job in jobs}, end)
            finally:
                process.terminate()
            log.seek(0)
            last = " ".join(log.read().split())[-300:]
        for job in jobs if time.monotonic() < end else ():
            if job.key not in done:
                yield job.record("error", f"the timing did not finish: {last}", {}, _origin(job))


def _path() -> str:
    """The checkout, then the caller's path: without a network, packages lie in a folder of their own."""
    return os.pathsep.join([str(IMPORTED_FROM), *filter(None, [os.environ.get("PYTHONPATH")])])


def _origin(job: Job) -> dict[str, object]:
    """The provenance of a timing, whose number of threads is its profile's."""
    return provenance(torch.device(job.device)) | {"threads": job.profile.threads, "gpu": None}


def _follow(
    process: subprocess.Popen[bytes], lines: TextIO, jobs: dict[str, Job], until: float
) -> Generator[Record, None, set[str]]:
    """Yield records as the report grows, until the process ends or the time is up; return their keys."""
    done: set[str] = set()
    part = ""
    while True:
        # Before the report is read, or lines that come in between would be lost.
        ended = process.poll() is not None or time.monotonic() >= until
        *whole, part = (part + lines.read()).split("\n")
        for line in whole:
            values = json.loads(line)
            job = jobs[values.pop("key")]
            done.add(job.key)
            origin = _origin(job) | {"gpu": values.pop("gpu")}
            yield job.record(values.pop("status", "ok"), values.pop("reason", ""), values, origin)
        if ended:
            return done
        try:
            process.wait(0.3)
        except subprocess.TimeoutExpired:
            continue
