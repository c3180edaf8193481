"""Start or join a Dask cluster, whose workers take the place of processes side by side."""

# distributed carries few types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingImports=false
from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..utils.errors import UserError
from .dask_pool import RemotePool, RemoteTask, SchedulerLost, code_version, future_result

if TYPE_CHECKING:
    from distributed import Client

Task = TypeVar("Task")
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

SETTINGS: dict[str, object] = {
    # A worker starts a process for every cell, which a daemon may not.
    "distributed.worker.daemon": False,
    # Each death of a worker counts against all tasks that were queued on it; by default three fail a task.
    "distributed.scheduler.allowed-failures": 50,
    # A worker gets one cell at a time, so that the others go to whichever worker is free first.
    "distributed.scheduler.worker-saturation": 1.0,
}
ANSWER = 10.0
"""Seconds to wait for a scheduler to answer."""
ARRIVAL = 120.0
"""Seconds to wait for the first worker."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Dask cluster.

    Attributes:
        client: connected to the scheduler.
        here: whether the workers are on this machine.
    """

    client: Client
    here: bool

    def pool(self, work: Callable[[Task], Any], folder: Path, limit: float, forks: bool) -> RemotePool[Task]:
        """A pool with the interface of ``ProcessPool``; see ``RemoteTask`` for the arguments."""
        return RemotePool(self.client, RemoteTask(work, limit, forks, folder, code_version()))

    def call(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """``function(…)`` on a machine of the workers. Raises what it raises, or ``SchedulerLost``."""
        if self.here:
            return function(*args, **kwargs)
        return future_result(self.client.submit(function, *args, **kwargs, pure=False, priority=1))


def environment() -> dict[str, str]:
    """``SETTINGS`` as environment variables, for schedulers and workers with a command line of their own."""
    return {
        f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": str(v) for name, v in SETTINGS.items()
    }


@contextmanager
def chosen_cluster(
    device: str, jobs: int | None, workers: int | None, scheduler: str | None
) -> Generator[Cluster | None]:
    """The cluster that the options of ``run`` ask for; ``None`` for processes side by side.

    Raises:
        UserError: two of the last three options are given, or ``device`` is one GPU of several; see also
            ``local_cluster`` and ``connected_cluster``.
    """
    options = {"--jobs": jobs, "--workers": workers, "--scheduler": scheduler}
    used = [name for name, value in options.items() if value is not None]
    if len(used) > 1:
        raise UserError(f"{' and '.join(used)} exclude each other: give one of them")
    if ":" in device and used and jobs is None:
        raise UserError(f"--device {device}: each worker sees one GPU, so give cuda")
    if workers is not None:
        import torch

        with local_cluster(workers, torch.cuda.device_count()) as cluster:
            yield cluster
    elif scheduler is not None:
        with connected_cluster(scheduler) as cluster:
            yield cluster
    else:
        yield None


@contextmanager
def local_cluster(workers: int, gpus: int = 0) -> Generator[Cluster]:
    """Start single-threaded workers on this machine, which end with the context.

    Args:
        workers: number of workers.
        gpus: number of GPUs; worker i sees GPU ``i % gpus`` alone.
    """
    distributed, dask = _import_dask()
    # Port 0 is any free port: on the default port, Dask warns if another cluster has it.
    scheduler = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    options = {"nthreads": 1, "memory_limit": 0, "dashboard": False, "silence_logs": logging.CRITICAL}
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    names = names if names[0] else [str(i) for i in range(gpus)]
    environments = [{"CUDA_VISIBLE_DEVICES": names[i % gpus]} if gpus else {} for i in range(workers)]
    # By default Dask sets numbers of threads and options of malloc, which a cell without Dask does not have.
    settings = SETTINGS | {"distributed.nanny.pre-spawn-environ": {}}
    with (
        dask.config.set(settings),
        # Not LocalCluster, whose workers all have the same environment.
        distributed.SpecCluster(
            scheduler={"cls": distributed.Scheduler, "options": scheduler},
            workers={
                i: {"cls": distributed.Nanny, "options": options | {"env": variables}}
                for i, variables in enumerate(environments)
            },
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_worker_callbacks(setup=_ignore_interrupts)
        yield Cluster(client, here=True)


def _ignore_interrupts() -> None:
    # A terminal sends Ctrl-C to all of its processes, and each worker would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def connected_cluster(address: str) -> Generator[Cluster]:
    """Connect to a scheduler that runs already, by its address or the file that holds it.

    Raises:
        UserError: no scheduler answers, or it has no workers.
        SchedulerLost: the scheduler ended during the context.
    """
    distributed, dask = _import_dask()
    is_file = "://" not in address and (os.path.sep in address or address.endswith(".json"))
    if is_file and not Path(address).is_file():
        raise UserError(f"--scheduler {address}: there is no such file; is the scheduler running?")
    with dask.config.set(SETTINGS):
        try:
            where = {"scheduler_file": address} if is_file else {"address": address}
            client = distributed.Client(**where, timeout=ANSWER)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"no Dask scheduler answers at {address}: give its address, tcp://HOST:PORT, or its file"
            ) from error
        try:
            with client:
                try:
                    client.wait_for_workers(1, timeout=ARRIVAL)
                except TimeoutError as error:
                    raise UserError(
                        f"the scheduler at {address} has no workers: start some, as docs/cluster.md says"
                    ) from error
                yield Cluster(client, here=False)
        # Any call may notice that the scheduler is gone, and each has an exception of its own.
        except (CancelledError, asyncio.CancelledError, distributed.comm.CommClosedError) as error:
            raise SchedulerLost from error


def _import_dask() -> tuple[Any, Any]:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UserError(
            "--workers and --scheduler need Dask: pip install distributed, or use --jobs for processes side by side"
        ) from error
    # Failures are reported in one line of ours; Dask's logs are for administrators of a cluster.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    return distributed, dask
