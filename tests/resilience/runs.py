"""A run of a tiny matrix in a session of its own, so that it can be killed with all that it has started."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.execution.process_pool import PRELOADED
from bench.records.record import FINISHED, Record
from bench.records.store import Store
from bench.utils.provenance import ROOT
from tests.helpers.profiles import PROFILE

CELLS = 24
"""Of ``PROFILE``: 16 of quality, 8 timings."""
LONGEST = 120.0
"""Seconds after which a run counts as hung."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be run.

    Attributes:
        profile: a ``.toml`` file.
        out: the folder of the run.
        notes: a folder for what is noted of it: ``stderr``; ``begun`` and ``told``, keys of cells that were begun
            and whose record was told of.
        jobs: processes side by side.
        prepare: called in the run's process before it begins.
        tables: write tables and figures in the end, as the command does.
        in_a_row: cells that a process measures.
    """

    profile: Path
    out: Path
    notes: Path
    jobs: int = 2
    prepare: Callable[[], object] | None = None
    tables: bool = False
    in_a_row: int = 1

    def words(self) -> list[str]:
        """The command's."""
        words = [
            "run",
            str(self.profile),
            "--out",
            str(self.out),
            "--device",
            "cpu",
            "--jobs",
            str(self.jobs),
        ]
        return [*words, "--cells-per-process", str(self.in_a_row)]

    def noted(self, name: str) -> list[str]:
        """The lines of a note; a last one that was cut short is left out."""
        file = self.notes / name
        return file.read_text(encoding="utf-8").split("\n")[:-1] if file.is_file() else []


def ask(folder: Path, **further: Any) -> Asked:
    """A run of ``PROFILE`` in ``folder / "out"``."""
    folder.mkdir(parents=True, exist_ok=True)
    profile = folder / "resilience.toml"
    profile.write_text(PROFILE, encoding="utf-8")
    return replace(Asked(profile, folder / "out", folder), **further)


def perform(asked: Asked) -> None:
    """The run, in this process, which takes leave of its parent's session.

    Three things are not what the command does: cells are forked from this process, not from a server that first
    imports everything; timings are made up; and who began and was told of what is noted.
    """
    os.setsid()
    handle = os.open(asked.notes / "stderr", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    # A lock of the machine of its own: what others time here must not wait for us, nor we for them.
    tempfile.tempdir = str(asked.profile.parent)
    from bench import timing
    from bench.__main__ import entry
    from bench.execution import cell_process, process_pool, runner
    from bench.records.job import Job
    from bench.report import report

    cell, told, context = cell_process.run_cell, runner.record_of, multiprocessing.get_context("fork")

    def run_cell(job: Job, out: Path | None, before: int = 0) -> Record:
        _note(asked.notes / "begun", job.key)
        return cell(job, out, before)

    def record_of(*arguments: Any) -> Record:
        record = told(*arguments)
        _note(asked.notes / "told", record.key)
        return record

    def measure_costs(jobs: list[Job], end: float) -> Iterator[Record]:
        for job in jobs:
            _note(asked.notes / "begun", job.key)
            time.sleep(0.005)
            seconds: dict[str, object] = {
                "seconds": [1.0, 1.0],
                "ratios": [1.0, 1.0],
                "ratios_of_floor": [1.0, 1.0],
            }
            yield job.record("ok", "", seconds, {})

    cell_process.run_cell, runner.record_of = run_cell, record_of
    timing.measure_costs = measure_costs
    process_pool.start_forkserver = lambda: (
        context
    )  # the server that the command would start imports for seconds
    if not asked.tables:
        report.write_report = lambda folder: []
    if asked.prepare is not None:
        asked.prepare()
    sys.exit(entry(asked.words()))


def _note(file: Path, line: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, line.encode() + b"\n")
    os.close(handle)


@dataclass(slots=True)
class Running:
    """A run that was begun.

    Attributes:
        asked: which.
        pid: of its first process, and of its session.
        wait: seconds at most -> its exit code, negative for a signal; ``None`` while it runs.
    """

    asked: Asked
    pid: int
    wait: Callable[[float], int | None]

    def others(self) -> list[int]:
        """The processes of its session but for the first."""
        return [pid for pid in members(self.pid) if pid != self.pid]

    def signal(self, number: int, whole: bool) -> None:
        """Send a signal to the whole session, or to the first process alone."""
        for pid in [*(self.others() if whole else []), self.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self, seconds: float = LONGEST) -> int | None:
        """Its exit code; ``None``, and killed, where it did not end in time."""
        code = self.wait(seconds)
        if code is None:
            self.signal(9, whole=True)
            self.wait(LONGEST)
        return code

    def gone(self, seconds: float = 10.0) -> float | None:
        """Seconds until nothing of its session is left; ``None``, and killed, where that did not happen in time."""
        begin, until = time.monotonic(), time.monotonic() + seconds
        while left := self.others():
            if time.monotonic() > until:
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, 9)
                return None
            time.sleep(0.005)
        return time.monotonic() - begin


def begin(asked: Asked) -> Running:
    """Begin a run as ``perform`` has it, in a process forked from a server with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [*PRELOADED, "bench.__main__", "bench.execution.runner", "bench.report.report", __name__]
    )
    process = context.Process(target=perform, args=(asked,))
    process.start()
    assert process.pid is not None
    while process.is_alive() and os.getpgid(process.pid) != process.pid:
        time.sleep(0.001)

    def wait(seconds: float) -> int | None:
        process.join(seconds)
        return process.exitcode

    return Running(asked, process.pid, wait)


def begin_command(asked: Asked) -> Running:
    """Begin ``python -m bench run`` itself."""
    with (asked.notes / "stderr").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench", *asked.words()],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(asked.profile.parent)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def wait(seconds: float) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.returncode

    return Running(asked, process.pid, wait)


def members(session: int) -> list[int]:
    """The live processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                state, *rest = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(rest[2]) == session and state not in "ZX":
                    found.append(int(entry.name))
    return found


def readable(out: Path) -> dict[str, bytes]:
    """The finished records of a folder that can be read, byte for byte, by their key."""
    store = Store(out)
    files = store.rows.glob("*.json") if store.rows.is_dir() else []
    return {file.stem: file.read_bytes() for file in files if store.finished(file.stem)}


def table(out: Path) -> list[tuple[object, ...]]:
    """What a run says, in its order, without its provenance."""
    return [
        (r.key, r.kind, r.task, r.solver, r.seed, r.status, r.reason, repr(sorted(r.values.items())))
        for r in Store(out).records()
    ]


def complete(rows: list[tuple[object, ...]]) -> bool:
    """Whether every cell is there once, and finished."""
    return len(rows) == len({row[0] for row in rows}) == CELLS and all(row[5] in FINISHED for row in rows)
