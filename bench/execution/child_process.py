"""What a process of a pool does: its tasks, one after another, for as long as there is a parent."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, TypeVar

Task = TypeVar("Task")


@dataclass(frozen=True, slots=True)
class Last:
    """An answer after which a process does no further task, for this one may have left something behind.

    Attributes:
        answer: what ``Ended.answer`` will be.
    """

    answer: Any


def serve(work: Callable[[Task], Any], task: Task, line: Connection, most: int) -> None:
    """Do the task that this process was started for, then those that come; to be called once, as all that it does.

    Args:
        work: ``task -> answer``, or ``Last(answer)``.
        task: the first.
        line: where answers go, and where further tasks come from, each in a tuple; ``None`` for no more.
        most: tasks that it may do.
    """
    # Ctrl-C goes to every process of a terminal; it is for the parent to say when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    os.dup2(2, 1)  # what a user's own file prints: standard output is for the results of the command
    # What was imported is there to stay; a look for garbage in it is half a second, and copies the pages it looks at.
    gc.freeze()
    end_with_the_parent(lambda: os.kill(os.getpid(), signal.SIGKILL))
    given: tuple[Task] | None = (task,)
    while given is not None:
        answer = work(given[0])
        line.send(answer)
        most -= 1
        given = None if most == 0 or isinstance(answer, Last) else _received(line)


def _received(line: Connection) -> tuple[Any] | None:
    """The next task; ``None`` where there is none any more."""
    try:
        return line.recv()
    except EOFError:
        return None


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
