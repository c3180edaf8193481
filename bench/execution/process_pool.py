"""Processes for cells, one for each unless told otherwise: what crashes or hangs in one cannot hurt another."""

from __future__ import annotations

import itertools
import math
import multiprocessing
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from .child_process import Last, serve

Task = TypeVar("Task")

PRELOADED = ("bench.measurement.measure", "torchmetrics")
"""Imported once, by the server that forks the processes; none of it starts a thread or touches a GPU.

deepinv's SSIM imports torchmetrics when it is first made: 2.3 seconds in every cell that trains.
"""
LONGEST = 70
"""Letters in the name of the folder for temporary files; beyond, processes start from nothing."""
PATIENCE = 5.0
"""Seconds that a process has to end after it was asked to."""


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[Task]):
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


@dataclass(slots=True, eq=False)
class _Running(Generic[Task]):
    """A process and the task that it is at.

    Attributes:
        task: which; the last one where it is ``idle``.
        line: to the process; the other end is its own.
        end: on the clock of ``time.monotonic``, when its time is up.
        left: tasks that it may do after this one.
        idle: it has answered, and waits for a task.
    """

    task: Task
    process: BaseProcess
    line: Connection
    end: float
    left: int
    idle: bool = False


@dataclass(slots=True)
class ProcessPool(Generic[Task]):
    """Processes side by side; use it in a ``with``, whose end ends those still running.

    Attributes:
        work: ``task -> answer``, or ``Last(answer)``, in another process; all of them can be pickled.
        workers: processes at once.
        limit: seconds that a task may take; 0 for as long as it likes.
        forks: start processes from a server that has imported everything (a tenth of a second each). Not where they
            will use a GPU: those start from nothing.
        end: on the clock of ``time.monotonic``, when whatever still runs is ended.
        max_tasks_per_child: tasks that a process does, one after another, before another takes its place; as in
            ``concurrent.futures.ProcessPoolExecutor``.
    """

    work: Callable[[Task], Any]
    workers: int
    limit: float = 0.0
    forks: bool = True
    end: float = math.inf
    max_tasks_per_child: int = 1
    running: list[_Running[Task]] = field(default_factory=list["_Running[Task]"])

    def __enter__(self) -> ProcessPool[Task]:
        return self

    def __exit__(self, *_: object) -> None:
        for run in self.running:
            run.process.terminate()
        for run in self.running:
            _end(run)
        self.running.clear()

    def __call__(self, tasks: Iterable[Task]) -> Iterator[TaskResult[Task]]:
        """Run every task, and tell of each as it ends. A task whose process dies in silence is run once more.

        A task is asked for when there is a process for it. The second time it has a process that did no other.
        """
        coming, again, died = iter(tasks), deque[Task](), list[Task]()
        context = self._context()
        while True:
            self._hand_out(context, coming, again)
            if not self.running:
                return
            for run in self._ready():
                ended = self._ended(run)
                if ended.reason and not ended.late and run.task not in died:
                    died.append(run.task)
                    again.append(run.task)
                else:
                    yield ended

    def _hand_out(self, context: BaseContext, coming: Iterator[Task], again: deque[Task]) -> None:
        """Give tasks to processes that have none, and to new ones; end those for which there is none left."""
        while True:
            idle = next((run for run in self.running if run.idle), None)
            if idle is None and len(self.running) >= self.workers:
                return
            found = list(itertools.islice(coming, 1))
            fresh = not found and bool(again)
            if fresh:
                found = [again.popleft()]
            if idle is not None:
                if found and not fresh and self._pass_on(idle, found[0]):
                    continue
                self._end(idle)
            if found:
                with _undisturbed({signal.SIGINT, signal.SIGTERM}):
                    self.running.append(self._start(context, found[0]))
            elif idle is None:
                return

    def _start(self, context: BaseContext, task: Task) -> _Running[Task]:
        line, other = context.Pipe()
        given = (self.work, task, other, self.max_tasks_per_child)
        process = context.Process(target=serve, args=given)  # pyright: ignore[reportAttributeAccessIssue]
        process.start()
        other.close()  # ours; with that of the process, the line ends when the process does
        return _Running(task, process, line, self._until(), self.max_tasks_per_child - 1)

    def _pass_on(self, run: _Running[Task], task: Task) -> bool:
        """Give an idle process its next task; ``False`` if it has died, for which no task is to blame."""
        try:
            run.line.send((task,))
        except OSError:
            return False
        run.task, run.end, run.left, run.idle = task, self._until(), run.left - 1, False
        return True

    def _until(self) -> float:
        return min(self.end, time.monotonic() + self.limit) if self.limit else self.end

    def _ready(self) -> list[_Running[Task]]:
        """Those that have said something, ended, or run out of time; waits until there is one."""
        soonest = min(run.end for run in self.running)
        left = max(0.0, soonest - time.monotonic()) if math.isfinite(soonest) else None
        wait([run.line for run in self.running], left)
        return [run for run in self.running if run.line.poll() or time.monotonic() >= run.end]

    def _ended(self, run: _Running[Task]) -> TaskResult[Task]:
        """How the task of a process has ended, and the process with it, unless it may do another."""
        answer, late = None, time.monotonic() >= run.end and not run.line.poll()
        if late:
            run.process.terminate()
        else:
            # It may have died without a word, or before it had read its task.
            with suppress(EOFError, OSError):
                answer = run.line.recv()
        run.idle = run.left > 0 and answer is not None and not isinstance(answer, Last)
        if not run.idle:
            self._end(run)
        if late:
            return TaskResult(run.task, reason="its time was up", late=True)
        if answer is None:
            return TaskResult(run.task, reason=_why(run.process.exitcode))
        return TaskResult(run.task, answer.answer if isinstance(answer, Last) else answer)

    def _end(self, run: _Running[Task]) -> None:
        self.running.remove(run)
        _end(run)

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
    # It hands its own mask on, and what it forks must never hear Ctrl-C, not even before ``serve``.
    with _undisturbed({signal.SIGINT}):
        forkserver.ensure_running()
    return context


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


def _end(run: _Running[Task]) -> None:
    if run.idle:
        with suppress(OSError):  # it has died
            run.line.send(None)
    run.line.close()
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
