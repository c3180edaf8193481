"""A matrix on a Dask cluster: the same processes, on other machines."""

# distributed carries few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from ..utils.errors import UserError
from ..utils.provenance import fingerprint, versions
from .child_process import end_with_the_parent
from .process_pool import ProcessPool, TaskResult

if TYPE_CHECKING:
    from distributed import Client, Future

Task = TypeVar("Task")
Given = ParamSpec("Given")
Answer = TypeVar("Answer")

SETTINGS: dict[str, object] = {
    # A worker starts a process for every cell, which a daemon may not.
    "distributed.worker.daemon": False,
    # A killed worker must not fail the innocent cells that it was to run next.
    "distributed.scheduler.allowed-failures": 50,
    # One cell at a time is all that a worker gets: the others stay where a free one can take them.
    "distributed.scheduler.worker-saturation": 1.0,
}
ANSWER = 10.0
"""Seconds to wait for a scheduler to answer."""
ARRIVAL = 120.0
"""Seconds to wait for its first worker."""


LOST = "the scheduler is gone; what was finished is stored: start it again, and run the same line"


class SchedulerLost(Exception):  # noqa: N818
    """The scheduler is gone. One line that says what to do; what was finished is stored."""


@dataclass(frozen=True, slots=True)
class CancellableTask(Generic[Task]):
    """Work that ends with whoever asked for it, and takes along every process that it has started itself.

    Left behind by a killed worker, it would sit on the cell's lock, and on the GPU of the next one.

    Attributes:
        work: ``task -> answer``.
    """

    work: Callable[[Task], Any]

    def __call__(self, task: Task) -> Any:
        """``work(task)``."""
        os.setpgid(0, 0)
        end_with_the_parent(lambda: os.killpg(0, signal.SIGKILL))
        return self.work(task)


@dataclass(frozen=True, slots=True)
class Remote(Generic[Task]):
    """A task in a process of its own, wherever a worker is.

    Attributes:
        work, limit, forks: see ``isolate.Pool``.
        folder: where the records go; a worker must see it.
        code: what the client runs; see ``code``.
    """

    work: Callable[[Task], Any]
    limit: float
    forks: bool
    folder: Path
    code: str

    def __call__(self, task: Task) -> TaskResult[Task]:
        """Run it, and tell how it ended. Raises ``UserError`` where this worker cannot."""
        host = socket.gethostname()
        if code() != self.code:
            raise UserError(f"a worker on {host} runs other code or versions: restart it from this checkout")
        if multiprocessing.current_process().daemon:
            raise UserError(
                f"a worker on {host} may start no processes: start it with DASK_DISTRIBUTED__WORKER__DAEMON=False"
            )
        if not self.folder.is_dir():
            raise UserError(f"a worker on {host} does not see --out {self.folder}: choose a shared folder")
        with ProcessPool(CancellableTask(self.work), 1, self.limit, self.forks) as pool:
            (ended,) = pool([task])
        return ended


@dataclass(frozen=True, slots=True)
class Cluster:
    """Workers of a Dask cluster, in place of processes side by side.

    Attributes:
        client: connected to its scheduler.
        here: the workers are on this machine.
    """

    client: Client
    here: bool

    def pool(self, work: Callable[[Task], Any], folder: Path, limit: float, forks: bool) -> RemotePool[Task]:
        """Something to give tasks to, as ``isolate.Pool`` is."""
        return RemotePool(self.client, Remote(work, limit, forks, folder, code()))

    def ask(self, what: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        """``what(…)`` on the machine of the workers. Raises what it raises, or ``SchedulerLost``."""
        if self.here:
            return what(*args, **kwargs)
        future = self.client.submit(what, *args, **kwargs, pure=False, priority=1)
        return _result(future)


@dataclass(frozen=True, slots=True)
class RemotePool(Generic[Task]):
    """Tasks on a cluster; use it in a ``with``, as ``isolate.Pool``."""

    client: Client
    remote: Remote[Task]

    def __enter__(self) -> RemotePool[Task]:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @contextmanager
    def begun(self, task: Task) -> Generator[Callable[[float], TaskResult[Task] | None]]:
        """One task; what it yields waits some seconds for its end, and tells how it ended if it has."""
        from distributed import TimeoutError as NotYet
        from distributed import wait

        future = self.client.submit(self.remote, task, pure=False)

        def ended(seconds: float) -> TaskResult[Task] | None:
            try:
                wait([future], timeout=seconds)
            except NotYet:
                return None
            except CancelledError:
                pass
            return self._ended(future, task)

        try:
            yield ended
        finally:
            self._cancel([future])

    def __call__(self, tasks: Iterable[Task]) -> Iterator[TaskResult[Task]]:
        """Run every task, and tell of each as it ends; those that nobody waits for any more are not begun.

        Raises:
            UserError: a worker has other code, or does not see the folder.
            Lost: the scheduler is gone.
        """
        from distributed import as_completed

        futures: dict[Any, Task] = {}
        try:
            for task in tasks:
                futures[self.client.submit(self.remote, task, pure=False)] = task
            for future in as_completed(list(futures)):
                task = futures.pop(future)
                yield self._ended(future, task)
        finally:
            self._cancel(list(futures))

    def _ended(self, future: Future, task: Task) -> TaskResult[Task]:
        try:
            return _result(future)
        except (UserError, SchedulerLost):
            raise
        except Exception as error:
            return TaskResult(task, reason=f"its worker failed: {type(error).__name__}: {error}"[:300])

    def _cancel(self, futures: list[Future]) -> None:
        if futures and self.client.status == "running":
            with suppress(Exception):
                self.client.cancel(futures)


def environment() -> dict[str, str]:
    """``SETTINGS`` as environment variables, for a scheduler and workers that are started by themselves."""
    return {
        f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": str(v) for name, v in SETTINGS.items()
    }


def code() -> str:
    """What decides a result and must be the same at every worker: the sources and the versions, in a line."""
    return f"{fingerprint()} {sorted(versions().items())}"


def _result(future: Future) -> Any:
    try:
        return future.result()
    except CancelledError as error:
        raise SchedulerLost(LOST) from error


@contextmanager
def chosen_cluster(
    device: str, jobs: int | None, workers: int | None, scheduler: str | None
) -> Generator[Cluster | None]:
    """The cluster that was asked for; ``None`` for processes side by side.

    Args:
        device, jobs, workers, scheduler: the options of a run.

    Raises:
        UserError: more than one of the last three was given, or one GPU of several; see ``local`` and ``connected``.
    """
    given = {"--jobs": jobs, "--workers": workers, "--scheduler": scheduler}
    several = [name for name, value in given.items() if value is not None]
    if len(several) > 1:
        raise UserError(f"{' and '.join(several)} exclude each other: give one of them")
    if ":" in device and several and jobs is None:
        raise UserError(f"--device {device}: each worker sees one GPU, so give cuda")
    if workers is not None:
        import torch

        with local(workers, torch.cuda.device_count()) as cluster:
            yield cluster
    elif scheduler is not None:
        with connected(scheduler) as cluster:
            yield cluster
    else:
        yield None


@contextmanager
def local(workers: int, gpus: int = 0) -> Generator[Cluster]:
    """A cluster of single-threaded workers on this machine, for as long as the context is open.

    Args:
        workers: how many.
        gpus: GPUs to deal them out to, each worker seeing one; 0 to leave that alone.
    """
    distributed, dask = _dask()
    # Any free port: by default a second cluster on a machine is warned of the first one's.
    scheduler = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    options = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "silence_logs": logging.CRITICAL}
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = names if names[0] else [str(i) for i in range(gpus)]
    pinned = [{"CUDA_VISIBLE_DEVICES": names[i % gpus]} if gpus else {} for i in range(workers)]
    # The defaults are for Dask's own arrays; a cell is to find what a plain loop gives it.
    settings = SETTINGS | {"distributed.nanny.pre-spawn-environ": {}}
    with (
        dask.config.set(settings),
        distributed.SpecCluster(
            scheduler={"cls": distributed.Scheduler, "options": scheduler},
            workers={
                i: {"cls": distributed.Nanny, "options": options | {"env": env}}
                for i, env in enumerate(pinned)
            },
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_worker_callbacks(setup=_leave_interrupts_to_the_client)
        yield Cluster(client, here=True)


def _leave_interrupts_to_the_client() -> None:
    # Ctrl-C goes to every process of a terminal, and each worker would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def connected(address: str) -> Generator[Cluster]:
    """A cluster that is there already, by the address of its scheduler or the file that holds it.

    Raises:
        UserError: nobody answers there, or there are no workers, or they run other code.
    """
    distributed, dask = _dask()
    named = "://" not in address and (os.path.sep in address or address.endswith(".json"))
    if named and not Path(address).is_file():
        raise UserError(f"--scheduler {address}: there is no such file; is the scheduler running?")
    with dask.config.set(SETTINGS):
        try:
            where = {"scheduler_file": address} if named else {"address": address}
            client = distributed.Client(**where, timeout=ANSWER)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"no Dask scheduler answers at {address}: give its address, tcp://HOST:PORT, or its file"
            ) from error
        # Dask tells of a lost scheduler in any call, and in several ways.
        lost = (CancelledError, asyncio.CancelledError, distributed.comm.CommClosedError)
        try:
            with client:
                _wait_for_a_worker(client, address)
                yield Cluster(client, here=False)
        except lost as error:
            raise SchedulerLost(LOST) from error


def _wait_for_a_worker(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=ARRIVAL)
    except TimeoutError as error:
        raise UserError(
            f"the scheduler at {address} has no workers: start some, as docs/cluster.md says"
        ) from error


def _dask() -> tuple[Any, Any]:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UserError(
            "--workers and --scheduler need Dask: pip install distributed, or use --jobs for processes side by side"
        ) from error
    # What goes wrong is said in a line of ours; its own are for those who look after a cluster.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    return distributed, dask
