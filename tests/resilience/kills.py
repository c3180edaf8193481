"""Runs killed at random moments, then started again: is anything lost, torn or different in the end?"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.records.store import Store
from tests.resilience.runs import Asked, Running, ask, begin, begin_command, complete, readable, table

WAYS = ("everything", "parent", "cell")
"""What is killed: the whole session, its first process alone, or the process of one cell."""


@dataclass(slots=True)
class Tally:
    """What was seen.

    Attributes:
        kills: by what was killed.
        starts: runs begun.
        finished: runs that were killed at least once and came to their end; ``equal``: those whose records are those
            of an undisturbed run.
        told: records of which a run said that they were stored.
        lost: of those, and of all that could once be read, the ones that were gone or changed after a kill.
        torn: files under the name of a record that were no record after a kill.
        orphans: times that something of a killed run was left after ten seconds.
        at_a_write: kills that hit while a temporary file stood in the store.
        tracebacks: runs with one on standard error.
    """

    kills: Counter[str] = field(default_factory=Counter[str])
    starts: int = 0
    finished: int = 0
    equal: int = 0
    told: int = 0
    lost: int = 0
    torn: int = 0
    orphans: int = 0
    at_a_write: int = 0
    tracebacks: int = 0

    def row(self) -> dict[str, object]:
        """As JSON has it."""
        return {**asdict(self), "kills": dict(self.kills)}

    def clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.lost or self.torn or self.orphans or self.tracebacks) and self.finished == self.equal


def kills(times: int, folder: Path, seed: int = 0, command: bool = False) -> Tally:
    """Kill runs ``times`` times, in as many folders as it takes, and let each run come to its end.

    Args:
        times: how many kills.
        folder: for the runs; made if missing.
        seed: of moments and ways.
        command: of ``python -m bench run`` itself, with real timings and tables, in place of ``runs.perform``.
    """
    rng, tally = random.Random(seed), Tally()
    start = begin_command if command else begin
    start(ask(folder / "first")).end()  # whatever is only slow once
    whole, before = ask(folder / "undisturbed"), time.monotonic()
    if start(whole).end() != 0 or not complete(table(whole.out)):
        raise RuntimeError(f"the undisturbed run failed: see {whole.notes / 'stderr'}")
    seconds = 0.8 * (time.monotonic() - before)
    expected = _decided(table(whole.out))
    number = 0
    while tally.kills.total() < times:
        asked, number = ask(folder / f"run-{number}"), number + 1
        _until_done(asked, start, times, seconds, expected, rng, tally)
    return tally


def _until_done(
    asked: Asked,
    start: Callable[[Asked], Running],
    times: int,
    seconds: float,
    expected: list[tuple[object, ...]],
    rng: random.Random,
    tally: Tally,
) -> None:
    known: dict[str, bytes] = {}
    code: int | None = None
    for _ in range(100):
        run = start(asked)
        tally.starts += 1
        ended = False
        while not ended:
            spent = tally.kills.total() >= times
            code = run.end() if spent else _moment(run, rng, seconds)
            if code is not None:
                if code == 0:
                    tally.finished += 1
                    tally.equal += _decided(table(asked.out)) == expected
                ended = True
            else:
                ended = _kill(run, rng.choice(WAYS), rng, tally)
            _look(asked, known, tally)
        if code == 0:
            break
    else:
        raise RuntimeError(f"no end after 100 starts: see {asked.notes / 'stderr'}")
    tally.told += len(asked.noted("told"))
    tally.tracebacks += "Traceback" in (asked.notes / "stderr").read_text(encoding="utf-8", errors="replace")


def _moment(run: Running, rng: random.Random, seconds: float) -> int | None:
    """Wait for a moment of the next run; half of the time, for one at which a file is being written."""
    code = run.wait(rng.uniform(0.0, seconds))
    if code is None and rng.random() < 0.5:
        until = time.monotonic() + seconds
        while code is None and time.monotonic() < until and not _writing(run.asked):
            code = run.wait(0.0)
    return code


def _writing(asked: Asked) -> bool:
    rows = asked.out / "rows"
    return rows.is_dir() and any(file.name.startswith(".") and _fresh(file) for file in rows.iterdir())


def _fresh(file: Path) -> bool:
    """Not left by an earlier kill."""
    try:
        return time.time() - file.stat().st_mtime < 0.05
    except OSError:
        return False


def _kill(run: Running, way: str, rng: random.Random, tally: Tally) -> bool:
    """Kill, and tell whether the run is over."""
    cells = run.others()
    if way == "cell" and not cells:
        return False
    tally.at_a_write += _writing(run.asked)
    tally.kills[way] += 1
    if way == "cell":
        Running(run.asked, rng.choice(cells), run.wait).signal(signal.SIGKILL, whole=False)
        return False
    run.signal(signal.SIGKILL, whole=way == "everything")
    run.end()
    tally.orphans += run.gone() is None
    return True


def _look(asked: Asked, known: dict[str, bytes], tally: Tally) -> None:
    found = readable(asked.out)
    told = set(asked.noted("told"))
    store = Store(asked.out)
    tally.lost += sum(found.get(key) != content for key, content in known.items())
    tally.lost += sum(store.read(key) is None for key in told)
    files = store.rows.glob("*.json") if store.rows.is_dir() else []
    tally.torn += sum(store.read(file.stem) is None for file in files)
    known |= found


def _decided(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """What no timing decides."""
    return [row if row[1] == "quality" else row[:6] for row in rows]
