"""Run tasks on the workers of a Dask cluster, each in a process of its own."""

# distributed carries few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..utils.errors import UserError
from ..utils.provenance import fingerprint, versions
from .child_process import end_with_parent
from .process_pool import ProcessPool, TaskResult

if TYPE_CHECKING:
    from distributed import Client, Future

Task = TypeVar("Task")


class SchedulerLost(Exception):  # noqa: N818
    """The scheduler of the cluster is gone; finished cells are stored."""

    def __init__(self) -> None:
        super().__init__(
            "the scheduler is gone; finished cells are stored: start it again, and run the same line"
        )


@dataclass(frozen=True, slots=True)
class GroupedWork(Generic[Task]):
    """``work`` in a process group that is killed with its parent.

    The parent is a process of a Dask worker. After the death of the worker, a cell or a process that it has started
    would hold the lock of the cell, and use the GPU of the next one.
    """

    work: Callable[[Task], Any]

    def __call__(self, task: Task) -> Any:
        """``work(task)``."""
        os.setpgid(0, 0)
        end_with_parent(lambda: os.killpg(0, signal.SIGKILL))
        return self.work(task)


@dataclass(frozen=True, slots=True)
class RemoteTask(Generic[Task]):
    """The function that a Dask worker runs: one task in a process of its own.

    Attributes:
        work, limit, forks: those of ``ProcessPool``.
        folder: folder of the records, which the worker must see.
        code: ``code_version`` of the client.
    """

    work: Callable[[Task], Any]
    limit: float
    forks: bool
    folder: Path
    code: str

    def __call__(self, task: Task) -> TaskResult[Task]:
        """Run the task. Raises ``UserError`` if this worker is not fit for it."""
        host = socket.gethostname()
        if code_version() != self.code:
            raise UserError(f"a worker on {host} runs other code or versions: restart it from this checkout")
        if multiprocessing.current_process().daemon:
            raise UserError(
                f"a worker on {host} may start no processes: start it with DASK_DISTRIBUTED__WORKER__DAEMON=False"
            )
        if not self.folder.is_dir():
            raise UserError(f"a worker on {host} does not see --out {self.folder}: choose a shared folder")
        with ProcessPool(GroupedWork(self.work), 1, self.limit, self.forks) as pool:
            (result,) = pool([task])
        return result


@dataclass(frozen=True, slots=True)
class RemotePool(Generic[Task]):
    """Runs tasks on a cluster; a context manager, as ``ProcessPool``."""

    client: Client
    remote: RemoteTask[Task]

    def __enter__(self) -> RemotePool[Task]:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, tasks: Iterable[Task]) -> Iterator[TaskResult[Task]]:
        """Run the tasks and yield each result as it comes. Closing the iterator cancels tasks that have not started.

        Raises:
            UserError: a worker runs other code, or does not see the folder.
            SchedulerLost: the scheduler is gone.
        """
        from distributed import as_completed

        futures: dict[Future, Task] = {}
        try:
            for task in tasks:
                futures[self.client.submit(self.remote, task, pure=False)] = task
            for future in as_completed(list(futures)):
                yield self._result(future, futures.pop(future))
        finally:
            self._cancel(list(futures))

    @contextmanager
    def started(self, task: Task) -> Generator[Callable[[float], TaskResult[Task] | None]]:
        """Start one task; the value of the context waits some seconds for the result, ``None`` if there is none yet."""
        from distributed import TimeoutError as DaskTimeoutError
        from distributed import wait

        future = self.client.submit(self.remote, task, pure=False)

        def result(seconds: float) -> TaskResult[Task] | None:
            try:
                wait([future], timeout=seconds)
            except DaskTimeoutError:
                return None
            except CancelledError:
                pass  # _result reports it
            return self._result(future, task)

        try:
            yield result
        finally:
            self._cancel([future])

    def _result(self, future: Future, task: Task) -> TaskResult[Task]:
        try:
            return future_result(future)
        except (UserError, SchedulerLost):
            raise
        except Exception as error:
            return TaskResult(task, reason=f"its worker failed: {type(error).__name__}: {error}"[:300])

    def _cancel(self, futures: list[Future]) -> None:
        if futures and self.client.status == "running":
            with suppress(Exception):
                self.client.cancel(futures)


def future_result(future: Future) -> Any:
    """``future.result()``; raises ``SchedulerLost`` if the scheduler is gone."""
    try:
        return future.result()
    except CancelledError as error:
        raise SchedulerLost from error


def code_version() -> str:
    """Digest of the sources, and versions: what decides a result, and must be the same on every worker."""
    return f"{fingerprint()} {sorted(versions().items())}"
