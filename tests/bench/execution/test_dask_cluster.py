"""The same matrix on a Dask cluster: what is killed on the way changes nothing in the table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import torch

from bench.__main__ import entry
from bench.config.matrix import load_profile
from bench.execution.dask_cluster import Cluster, connected_cluster, environment, local_cluster
from bench.execution.dask_pool import RemotePool, RemoteTask
from bench.execution.runner import run_profile
from bench.records.store import Manifest, Store
from bench.utils.errors import UserError
from bench.utils.file_locks import file_lock, machine_lock
from bench.utils.provenance import ROOT
from tests.helpers.profiles import FEW

pytestmark = pytest.mark.cluster

psutil = pytest.importorskip("psutil")
pytest.importorskip("distributed")

QUALITY = 4


def table(folder: Path) -> dict[str, tuple[str, dict[str, object]]]:
    """What was measured of every quality cell."""
    return {r.key: (r.status, r.values) for r in Store(folder).records() if r.kind == "quality"}


@pytest.fixture
def few(tmp_path) -> Path:
    file = tmp_path / "few.toml"
    file.write_text(FEW)
    return file


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> dict[str, tuple[str, dict[str, object]]]:
    """The table of a run without Dask."""
    folder = tmp_path_factory.mktemp("plain")
    (folder / "few.toml").write_text(FEW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.execution.runner.run_timings", lambda jobs, store, budget: iter(()))
        run_profile(
            load_profile(str(folder / "few.toml")), folder / "out", device=torch.device("cpu"), jobs=1
        )
    found = table(folder / "out")
    assert len(found) == QUALITY
    return found


@pytest.fixture(scope="module")
def gate(tmp_path_factory) -> Generator[Path]:
    """The lock of the machine, for the workers alone: as long as it is held, their cells stand still."""
    folder = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        yield folder / machine_lock().name


@pytest.fixture(scope="module")
def two(gate) -> Generator[Cluster]:
    with local_cluster(2) as cluster:
        yield cluster


@pytest.fixture
def without_timings(monkeypatch):
    monkeypatch.setattr("bench.execution.runner.run_timings", lambda jobs, store, budget: iter(()))


def soon(what: Callable[[], object], seconds: float = 60.0) -> object:
    """The first true answer of ``what()``; fails if there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := what():
            return answer
        time.sleep(0.01)
    raise AssertionError(f"nothing happened in {seconds} s")


def busy(out: Path) -> list[str]:
    """The cells that somebody is at."""
    found = []
    for file in (out / "locks").glob("*") if (out / "locks").is_dir() else ():
        with file_lock(file, shared=True) as free:
            found += [file.name] * (not free)
    return found


@contextmanager
def meanwhile(what: Callable[[], None]) -> Generator[None]:
    """``what()`` beside the context; what it raises is raised at the end."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            what()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    yield
    thread.join(60)
    assert not thread.is_alive()
    if raised:
        raise raised[0]


def at_work(worker: int) -> list[int]:
    """The processes of cells of a worker: children of the server that forks them."""
    servers = [p for p in psutil.Process(worker).children() if "forkserver" in " ".join(p.cmdline())]
    return [child.pid for server in servers for child in server.children()]


def gone(process: int) -> bool:
    return not psutil.pid_exists(process) or psutil.Process(process).status() == "zombie"


@pytest.mark.slow
@pytest.mark.usefixtures("without_timings")
@pytest.mark.parametrize("victim", ["worker", "cell"])
def test_what_is_killed_in_the_middle_of_a_cell_is_not_missed(two, gate, plain, few, tmp_path, victim):
    out, told, killed = tmp_path / "out", [], []
    two.client.wait_for_workers(2, timeout=60)
    workers = list(two.client.run(os.getpid).values())
    with ExitStack() as closed:
        assert closed.enter_context(file_lock(gate, wait=True))

        def kill() -> None:
            try:
                soon(lambda: len(busy(out)) == 2)
                worker, cell = next((w, c) for w in workers for c in at_work(w))
                os.kill(worker if victim == "worker" else cell, signal.SIGKILL)
                killed.append(cell)
                # Nor is it left behind, to sit on a lock or a GPU, while it stands still here.
                soon(lambda: gone(cell), 20)
            finally:
                closed.close()  # or the run would wait for ever where something above has failed

        with meanwhile(kill):
            outcome = run_profile(
                load_profile(str(few)),
                out,
                device=torch.device("cpu"),
                cluster=two,
                progress=lambda *seen: told.append(seen),
            )
    assert outcome == {"stored": 0, "ok": QUALITY}
    assert [done for _, done, _ in told] == list(range(QUALITY + 1))
    assert table(out) == plain
    assert killed


@pytest.mark.usefixtures("without_timings")
def test_a_cell_that_another_run_is_at_is_waited_for(two, plain, few, tmp_path):
    out, profile = tmp_path / "out", load_profile(str(few))
    store = Store(out)
    store.claim(Manifest("few", profile.summary, "scikit-image", "cpu", list(plain)))
    released = []
    with ExitStack() as other:
        other.enter_context(file_lock(store.lock(list(plain)[1])))

        def release() -> None:
            soon(lambda: len(list(store.rows.glob("*.json"))) == QUALITY - 1)
            time.sleep(1)
            released.append(len(list(store.rows.glob("*.json"))))
            other.close()

        with meanwhile(release):
            outcome = run_profile(profile, out, device=torch.device("cpu"), cluster=two)
    assert released == [QUALITY - 1]
    assert outcome == {"stored": 0, "ok": QUALITY}
    assert table(out) == plain


def test_the_client_takes_no_more_than_a_worker_can_do(two, tmp_path):
    other = RemotePool(two.client, RemoteTask(abs, 0.0, True, tmp_path, "other code"))
    with pytest.raises(UserError, match="other code or versions"):
        list(other([-1]))
    with pytest.raises(UserError, match="does not see --out"):
        list(two.pool(abs, tmp_path / "nowhere", 0.0, True)([-1]))


def test_every_task_is_told_of_once_and_a_late_one_is_ended(two, tmp_path):
    with two.pool(abs, tmp_path, 0.0, True) as pool:
        assert sorted(ended.answer for ended in pool(range(-3, 0))) == [1, 2, 3]
    (late,) = two.pool(time.sleep, tmp_path, 0.3, True)([60])
    assert late.timed_out
    assert not late.answer


def test_without_dask_there_is_one_line(few, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    for option in (["--workers", "2"], ["--scheduler", "tcp://127.0.0.1:1"]):
        assert entry(["run", str(few), "--out", str(tmp_path / "out"), "--device", "cpu", *option]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert "pip install distributed" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "nowhere.json", "nonsense", "no/such/file", "udp://1"]
)
def test_a_bad_address_is_one_line_within_seconds(few, tmp_path, monkeypatch, capfd, address):
    monkeypatch.setattr("bench.execution.dask_cluster.ANSWER", 1.0)
    begin = time.monotonic()
    assert entry(["run", str(few), "--out", str(tmp_path / "out"), "--scheduler", address]) == 2
    assert time.monotonic() - begin < 10
    line = capfd.readouterr().err
    assert line.count("\n") == 1, line
    assert address in line
    assert not (tmp_path / "out").exists()


def test_options_that_exclude_each_other_are_one_line(few, tmp_path, capsys):
    assert entry(["run", str(few), "--out", str(tmp_path / "o"), "--device", "cuda:1", "--workers", "2"]) == 2
    assert "each worker sees one GPU" in capsys.readouterr().err
    assert entry(["run", str(few), "--out", str(tmp_path / "o"), "--jobs", "2", "--workers", "2"]) == 2
    assert "--jobs and --workers exclude each other" in capsys.readouterr().err


@contextmanager
def running(folder: Path) -> Generator[tuple[Path, list[subprocess.Popen[bytes]]]]:
    """A scheduler and a worker, each a process; the file of the address, and the two."""
    file = folder / f"scheduler-{time.monotonic_ns()}.json"
    variables = os.environ | environment() | {"PYTHONPATH": str(ROOT)}
    shared = ["--scheduler-file", str(file)]
    lines = (
        [
            "-m",
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--dashboard-address",
            ":0",
            *shared,
        ],
        ["-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-dashboard", *shared],
    )
    with (folder / "log").open("ab") as log:
        started = []
        try:
            for line in lines:
                command = [sys.executable, *line]
                started.append(subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=log))
                soon(file.is_file)
            yield file, started
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait(30)


@pytest.mark.slow
def test_a_killed_scheduler_is_one_line_and_the_next_one_goes_on(plain, few, tmp_path, capfd):
    """With the timings, which the worker makes."""
    out = tmp_path / "out"

    def line(file: Path) -> list[str]:
        return ["run", str(few), "--out", str(out), "--device", "cpu", "--scheduler", str(file)]

    with running(tmp_path) as (file, (scheduler, _)):

        def kill() -> None:
            soon(lambda: list((out / "rows").glob("*.json")) if out.is_dir() else [])
            scheduler.kill()

        with meanwhile(kill):
            assert entry(line(file)) == 1
    shown = [text for text in capfd.readouterr().err.splitlines() if "·" not in text]
    assert len(shown) == 1, shown
    assert "the scheduler is gone" in shown[0]
    before = table(out)
    assert before
    assert before.items() <= plain.items()
    with running(tmp_path) as (file, _):
        assert entry(line(file)) == 0
    assert f"{len(before)} stored" in capfd.readouterr().err
    assert table(out) == plain
    timings = [record for record in Store(out).records() if record.kind == "cost"]
    assert [record.status for record in timings] == ["ok", "ok"]


@pytest.mark.slow
def test_a_cluster_without_workers_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.execution.dask_cluster.ARRIVAL", 1.0)
    with running(tmp_path) as (file, (_, worker)):
        worker.kill()
        time.sleep(1)
        with pytest.raises(UserError, match="has no workers"), connected_cluster(str(file)):
            pass
