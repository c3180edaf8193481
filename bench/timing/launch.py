"""Runs the timings in a fresh pytest process and turns its report into records."""

from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from ..records.job import Job
from ..records.record import Record
from ..utils.provenance import ROOT, provenance

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
"""glibc's allocator is bimodal at these sizes: identical runs took 1.88 or 2.59 ms until it was fixed."""


def measure_costs(jobs: list[Job], end: float = math.inf) -> Iterator[Record]:
    """A record for each cost job, as its timing ends. One process, one timing at a time.

    At ``end``, on the clock of ``time.monotonic``, the process is ended; what it had not timed has no record.

    A timing that fails is a record with the status ``error``, or ``oom`` where it was for want of memory.
    """
    if not jobs:
        return
    with tempfile.TemporaryDirectory(prefix="eqgrad-cost-") as folder:
        plan, report = Path(folder, "plan.pickle"), Path(folder, "report.jsonl")
        plan.write_bytes(pickle.dumps(jobs))
        report.touch()
        # Nobody writes to it: it ends when this process does, however that ends, and the timing with it.
        ear, mouth = os.pipe()
        words = f"-m bench.timing.exit_with_parent {ear} pytest -q -p no:cacheprovider -p no:xdist"
        command = [sys.executable, *words.split()]
        command += [str(Path(__file__).parent / "test_step.py"), f"--rootdir={ROOT}", "-k", "test_step"]
        command += ["--benchmark-disable-gc", f"--cost-plan={plan}", f"--cost-report={report}"]
        environment = os.environ | ALLOCATOR | {"PYTHONPATH": _path()}
        with (
            Path(folder, "log").open("w+", encoding="utf-8") as log,
            os.fdopen(mouth, "wb"),
            os.fdopen(ear, "rb"),
            subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, pass_fds=(ear,)
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
                yield job.record("error", f"the timing did not finish: {last}", {}, _where(job))


def _path() -> str:
    """The checkout before all that this process was given: packages may lie in a folder of their own."""
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


def _where(job: Job) -> dict[str, object]:
    """The provenance of a timing, whose threads are those of its profile, not of this process."""
    return provenance(torch.device(job.device)) | {"threads": job.profile.threads, "gpu": None}


def _follow(process, lines, jobs: dict[str, Job], until: float):
    """Records as the report grows, until the process ends or the time is up; returns the keys seen."""
    done: set[str] = set()
    part = ""
    while True:
        ended = process.poll() is not None or time.monotonic() >= until
        part += lines.read()
        *whole, part = part.split("\n")
        for line in whole:
            found = json.loads(line)
            job = jobs[found.pop("key")]
            done.add(job.key)
            where = _where(job) | {"gpu": found.pop("gpu")}
            yield job.record(found.pop("status", "ok"), found.pop("reason", ""), found, where)
        if ended:
            return done
        try:
            process.wait(0.3)
        except subprocess.TimeoutExpired:
            continue
