"""Processes for cells, one for each by default: a crash or a hang in one does not hurt another.

``concurrent.futures`` loses all tasks when one process crashes, and cannot end a hung one. ``pebble`` can, but its pool
fails when an idle process is killed, it has no task that ends its process, and it cannot run a task again in a new
process.
"""

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

from .child_process import FinalAnswer, serve

Task = TypeVar("Task")

PRELOADED = ("bench.measurement.measure", "torchmetrics")
"""Modules that the fork server imports; none starts a thread or touches a GPU, which a fork would break.

deepinv's SSIM imports torchmetrics on its first use, which takes 2.3 seconds in every cell that trains.
"""
LONGEST = 70
"""Letters at most in the name of the temporary folder: beside it the server makes a socket, whose path is limited."""
PATIENCE = 5.0
"""Seconds between asking a process to end and killing it."""


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[Task]):
    """How a task ended.

    Attributes:
        task: the task.
        answer: its answer; ``None`` if its process ended without one.
        reason: why there is no answer.
        timed_out: whether the pool ended the process at its deadline.
    """

    task: Task
    answer: Any = None
    reason: str = ""
    timed_out: bool = False


@dataclass(slots=True, eq=False)
class _Child(Generic[Task]):
    """A process and its task, or its last task if it is ``idle``; ``tasks_left`` does not count this one."""

    task: Task
    process: BaseProcess
    pipe: Connection
    deadline: float
    tasks_left: int
    idle: bool = False

    def end(self) -> None:
        """Ask the process to end if it is idle, else wait for its end; kill it after ``PATIENCE``."""
        if self.idle:
            with suppress(OSError):  # it died
                self.pipe.send(None)
        self.pipe.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


@dataclass(slots=True)
class ProcessPool(Generic[Task]):
    """Runs tasks in processes; a context manager that ends all of its processes on exit.

    Attributes:
        work: ``task -> answer``, or ``FinalAnswer(answer)``; must be picklable, as tasks and answers.
        workers: processes at once.
        limit: seconds for a task; 0 for no limit.
        forks: fork processes from a server that has imported everything, which takes a tenth of a second; otherwise
            start interpreters. Must be false if tasks use a GPU, since CUDA does not survive a fork.
        end: deadline of all tasks, on the clock of ``time.monotonic``.
        max_tasks_per_child: as in ``concurrent.futures``.
    """

    work: Callable[[Task], Any]
    workers: int
    limit: float = 0.0
    forks: bool = True
    end: float = math.inf
    max_tasks_per_child: int = 1
    running: list[_Child[Task]] = field(default_factory=list["_Child[Task]"])

    def __enter__(self) -> ProcessPool[Task]:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.running:  # all at once, and only then wait for each
            child.process.terminate()
        for child in self.running:
            child.end()
        self.running.clear()

    def __call__(self, tasks: Iterable[Task]) -> Iterator[TaskResult[Task]]:
        """Run the tasks and yield each result as it comes; take a task from ``tasks`` only once a process is free.

        A task whose process dies runs once more, in a process that did no other task: the death may be the fault of an
        earlier task, or of the system.
        """
        waiting, retries, died = iter(tasks), deque[Task](), list[Task]()
        context = (start_forkserver() if self.forks else None) or multiprocessing.get_context("spawn")
        while True:
            self._start_tasks(context, waiting, retries)
            if not self.running:
                return
            for child in self._finished():
                result = self._result(child)
                if result.reason and not result.timed_out and child.task not in died:
                    died.append(child.task)
                    retries.append(child.task)
                else:
                    yield result

    def _start_tasks(self, context: BaseContext, waiting: Iterator[Task], retries: deque[Task]) -> None:
        """Give tasks to idle and to new processes; end the idle processes that get none."""
        while True:
            idle = next((child for child in self.running if child.idle), None)
            if idle is None and len(self.running) >= self.workers:
                return
            task = list(itertools.islice(waiting, 1))
            if idle is not None:
                if task and self._pass_on(idle, task[0]):
                    continue
                self._end(idle)
            if not task and retries:
                task = [retries.popleft()]
            if task:
                # A signal must not interrupt this between the start of a process and its entry in the list.
                with _signals_blocked({signal.SIGINT, signal.SIGTERM}):
                    self.running.append(self._start(context, task[0]))
            elif idle is None:
                return

    def _start(self, context: BaseContext, task: Task) -> _Child[Task]:
        pipe, other_end = context.Pipe()
        arguments = (self.work, task, other_end, self.max_tasks_per_child)
        process = context.Process(target=serve, args=arguments)  # pyright: ignore[reportAttributeAccessIssue]
        process.start()
        other_end.close()  # now the process has the only copy, and its death ends the pipe
        return _Child(task, process, pipe, self._deadline(), self.max_tasks_per_child - 1)

    def _pass_on(self, child: _Child[Task], task: Task) -> bool:
        """Give an idle process its next task; ``False`` if the process died since the last one."""
        try:
            child.pipe.send((task,))
        except OSError:
            return False
        child.task, child.deadline, child.idle = task, self._deadline(), False
        child.tasks_left -= 1
        return True

    def _deadline(self) -> float:
        return min(self.end, time.monotonic() + self.limit) if self.limit else self.end

    def _finished(self) -> list[_Child[Task]]:
        """Wait for processes that answered, died or reached their deadline."""
        deadline = min(child.deadline for child in self.running)
        timeout = max(0.0, deadline - time.monotonic()) if math.isfinite(deadline) else None
        wait([child.pipe for child in self.running], timeout)
        return [child for child in self.running if child.pipe.poll() or time.monotonic() >= child.deadline]

    def _result(self, child: _Child[Task]) -> TaskResult[Task]:
        """How the task of a finished process ended; ends the process too, unless it may do another task."""
        answer, timed_out = None, time.monotonic() >= child.deadline and not child.pipe.poll()
        if timed_out:
            child.process.terminate()
        else:
            with suppress(EOFError, OSError):  # the process died
                answer = child.pipe.recv()
        child.idle = child.tasks_left > 0 and answer is not None and not isinstance(answer, FinalAnswer)
        if not child.idle:
            self._end(child)
        if timed_out:
            return TaskResult(child.task, reason="its time was up", timed_out=True)
        if answer is None:
            return TaskResult(child.task, reason=_death(child.process.exitcode))
        return TaskResult(child.task, answer.answer if isinstance(answer, FinalAnswer) else answer)

    def _end(self, child: _Child[Task]) -> None:
        self.running.remove(child)
        child.end()


def start_forkserver() -> BaseContext | None:
    """Start the fork server unless it runs; it imports ``PRELOADED`` while the caller goes on.

    Returns:
        The context that starts processes; ``None`` if the name of the temporary folder is too long for a server.
    """
    if len(tempfile.gettempdir()) > LONGEST:
        return None
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    # Its processes inherit the mask, so that Ctrl-C cannot reach them before ``serve`` ignores it.
    with _signals_blocked({signal.SIGINT}):
        forkserver.ensure_running()
    return context


@contextmanager
def _signals_blocked(signals: set[signal.Signals]) -> Generator[None]:
    """Delay signals until the end of the context. Processes that start inside inherit the mask."""
    resource_tracker.ensure_running()  # its start would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its process ended with exit code {code}, twice"
    cause = " (out of memory?)" if code == -signal.SIGKILL else ""
    return f"its process was ended by {signal.Signals(-code).name}{cause}, twice"
