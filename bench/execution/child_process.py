"""The main function of a process of a pool: do tasks one after another, and end with the parent."""

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
class FinalAnswer:
    """An answer after which the process ends, since the task may have left something behind."""

    answer: Any


def serve(work: Callable[[Task], Any], task: Task, pipe: Connection, max_tasks: int) -> None:
    """Answer the first task, and up to ``max_tasks`` in all. Must be the only function that its process runs.

    Answers, and ``FinalAnswer.answer``, are sent through the pipe; it receives tasks, each as a 1-tuple, or ``None`` at
    the end.
    """
    # A terminal sends Ctrl-C to all of its processes; only the parent may react.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    # Standard output is for the results of the command, so prints of users' files go to standard error.
    os.dup2(2, 1)
    # Imported modules are no garbage: a collection over them takes half a second, and copies their shared pages.
    gc.freeze()
    end_with_parent(lambda: os.kill(os.getpid(), signal.SIGKILL))
    message: tuple[Task] | None = (task,)
    while message is not None:
        answer = work(message[0])
        pipe.send(answer)
        max_tasks -= 1
        if max_tasks == 0 or isinstance(answer, FinalAnswer):
            return
        try:
            message = pipe.recv()
        except EOFError:
            return


def end_with_parent(end: Callable[[], None]) -> None:
    """Call ``end`` from a thread as soon as the parent process is gone.

    Otherwise the cell of a killed run would hold its lock, and nobody would end it if it hangs.
    """

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            end()

    threading.Thread(target=wait, daemon=True).start()
