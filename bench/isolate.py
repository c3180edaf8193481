"""A fresh process for every cell: what crashes, hangs or leaks in one cannot hurt another."""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

Task = TypeVar("Task")

PRELOADED = ("bench.measure", "torchmetrics")
"""Imported once, by the server that forks the processes; none of it starts a thread or touches a GPU.

deepinv's SSIM imports torchmetrics when it is first made: 2.3 seconds in every cell that trains.
"""
LONGEST = 70
"""Letters in the name of the folder for temporary files; beyond, processes start from nothing."""
PATIENCE = 5.0
"""Seconds that a process has to end after it was asked to."""


@dataclass(frozen=True, slots=True)
class Ended(Generic[Task]):
    """How a task ended.

    Attributes:
        task: which.
        answer: what its process said; ``None`` if that ended without a word.
        reason: why it did; empty where there is an answer.
        late: it was ended because its time was up.
    """

    task: Task
    answer: Any = None
    reason: str = ""
    late: bool = False


@dataclass(slots=True)
class _Running(Generic[Task]):
    task: Task
    process: BaseProcess
    ear: Connection
    end: float


@dataclass(slots=True)
class Pool(Generic[Task]):
    """Processes side by side, one a task; use it in a ``with``, whose end ends those still running.

    Attributes:
        work: ``task -> answer``, in a process of its own; both can be pickled.
        workers: processes at once.
        limit: seconds that a task may take; 0 for as long as it likes.
        forks: start processes from a server that has imported everything (a tenth of a second each). Not where they
            will use a GPU: those start from nothing.
        end: on the clock of ``time.monotonic``, when whatever still runs is ended.
    """

    work: Callable[[Task], Any]
    workers: int
    limit: float = 0.0
    forks: bool = True
    end: float = math.inf
    running: list[_Running[Task]] = field(default_factory=list["_Running[Task]"])

    def __enter__(self) -> Pool[Task]:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self.running:
            run.process.terminate()
        for run in self.running:
            _end(run)
        self.running.clear()

    def __call__(self, tasks: Iterable[Task]) -> Iterator[Ended[Task]]:
        """Run every task, and tell of each as it ends. A task whose process dies in silence is run once more.

        A task is asked for when there is a process for it.
        """
        coming, again, died = iter(tasks), deque[Task](), list[Task]()
        context = self._context()
        while True:
            while len(self.running) < self.workers and (found := _next(coming, again)):
                with _undisturbed({signal.SIGINT, signal.SIGTERM}):
                    self.running.append(_start(context, self.work, found[0], self.limit, self.end))
            if not self.running:
                return
            for run in self._ready():
                self.running.remove(run)
                ended = _ended(run)
                if ended.reason and not ended.late and run.task not in died:
                    died.append(run.task)
                    again.append(run.task)
                else:
                    yield ended

    def _ready(self) -> list[_Running[Task]]:
        """Those that have said something, ended, or run out of time; waits until there is one."""
        soonest = min(run.end for run in self.running)
        left = max(0.0, soonest - time.monotonic()) if math.isfinite(soonest) else None
        wait([run.ear for run in self.running], left)
        return [run for run in self.running if run.ear.poll() or time.monotonic() >= run.end]

    def _context(self) -> BaseContext:
        return (prepare() if self.forks else None) or multiprocessing.get_context("spawn")


def prepare() -> BaseContext | None:
    """Start the server that processes are forked from, unless it runs; it imports while the caller goes on.

    Returns:
        What starts processes; ``None`` where there can be no server.
    """
    # It listens on a socket beside the temporary files, whose path the system keeps short.
    if len(tempfile.gettempdir()) > LONGEST:
        return None
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    # It hands its own mask on, and what it forks must never hear Ctrl-C, not even before ``_run``.
    with _undisturbed({signal.SIGINT}):
        forkserver.ensure_running()
    return context


def _next(coming: Iterator[Task], again: deque[Task]) -> list[Task]:
    """The next task, those whose process died last; empty where there is none."""
    for task in coming:
        return [task]
    return [again.popleft()] if again else []


def _start(
    context: BaseContext, work: Callable[[Task], Any], task: Task, limit: float, end: float
) -> _Running[Task]:
    ear, mouth = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, task, mouth))  # pyright: ignore[reportAttributeAccessIssue]
    process.start()
    mouth.close()  # ours; with the other end's, the pipe ends when the process does
    return _Running(task, process, ear, min(end, time.monotonic() + limit) if limit else end)


@contextmanager
def _undisturbed(signals: set[signal.Signals]) -> Generator[None]:
    """Signals wait until whoever is in here is through, so that a process that is begun is known to its pool.

    What is started in here inherits that.
    """
    resource_tracker.ensure_running()  # it lifts the block when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(work: Callable[[Task], Any], task: Task, mouth: Connection) -> None:
    # Ctrl-C goes to every process of a terminal; it is for the parent to say when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    os.dup2(2, 1)  # what a user's own file prints: standard output is for the results of the command
    # What was imported is there to stay; a look for garbage in it is half a second, and copies the pages it looks at.
    gc.freeze()
    end_with_the_parent(lambda: os.kill(os.getpid(), signal.SIGKILL))
    mouth.send(work(task))


def end_with_the_parent(end: Callable[[], None]) -> None:
    """Call ``end`` once the parent is gone; a thread of its own waits for that.

    Left behind by a parent that was killed, a cell would sit on its lock, with nobody to end it if it hangs.
    """

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            end()

    threading.Thread(target=watch, daemon=True).start()


def _ended(run: _Running[Task]) -> Ended[Task]:
    answer, late = None, time.monotonic() >= run.end and not run.ear.poll()
    if late:
        run.process.terminate()
    else:
        try:
            answer = run.ear.recv()
        except EOFError:
            answer = None
    _end(run)
    if late:
        return Ended(run.task, reason="its time was up", late=True)
    if answer is None:
        return Ended(run.task, reason=_why(run.process.exitcode))
    return Ended(run.task, answer)


def _end(run: _Running[Task]) -> None:
    run.ear.close()
    run.process.join(PATIENCE)
    if run.process.is_alive():
        run.process.kill()
        run.process.join()


def _why(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return (
            f"its process was ended by {name}{' (out of memory?)' if code == -signal.SIGKILL else ''}, twice"
        )
    return f"its process ended with exit code {code}, twice"
