"""Locks: one owner at a time, and none that outlives its owner."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from types import SimpleNamespace

import pytest

# Not public: two runs at the same cells meet here; as processes they would meet by chance.
from bench.execution.runner import _released
from bench.records.store import Store
from bench.utils.file_locks import file_lock, machine_lock
from tests.resilience.twins import twins


def test_one_owner_at_a_time_and_any_number_that_share(tmp_path):
    file = tmp_path / "lock"
    with file_lock(file) as mine:
        assert mine
        with file_lock(file) as other, file_lock(file, shared=True) as reader:
            assert not other
            assert not reader
    with file_lock(file, shared=True) as one, file_lock(file, shared=True) as two, file_lock(file) as alone:
        assert (one, two, alone) == (True, True, False)
    with file_lock(file) as again:
        assert again


def hold(file, told):
    with file_lock(file):
        told.set()
        time.sleep(60)


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_whose_owner_is_killed_is_free(tmp_path, number):
    context = multiprocessing.get_context("forkserver")
    told = context.Event()
    owner = context.Process(target=hold, args=(tmp_path / "lock", told))
    owner.start()
    assert told.wait(60)
    with file_lock(tmp_path / "lock") as mine:
        assert not mine
    os.kill(owner.pid, number)
    with file_lock(tmp_path / "lock", wait=True) as mine:
        assert mine
    owner.join()


def test_where_there_are_no_locks_nobody_is_kept_out(tmp_path):
    with file_lock(tmp_path) as mine:  # a folder cannot be locked this way
        assert mine


def test_the_machine_has_one_lock_for_a_user():
    assert str(os.getuid()) in machine_lock().name


@pytest.mark.process
def test_two_runs_on_one_folder_measure_every_cell_once(tmp_path):
    whole, halved = twins(2, tmp_path)
    assert whole.clean(), whole
    assert whole.shared > 0, "one of them did everything"
    assert halved.clean(), halved


def test_cells_of_another_run_are_asked_for_again_when_they_are_free_and_not_before(tmp_path, monkeypatch):
    store, looks = Store(tmp_path), []
    (tmp_path / "locks").mkdir()
    jobs = [SimpleNamespace(key=key) for key in ("a", "b", "c")]
    owners = {job.key: file_lock(store.lock(job.key)) for job in jobs}
    for owner in owners.values():
        assert owner.__enter__()

    def wait(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            owners["b"].__exit__(None, None, None)

    monkeypatch.setattr("bench.execution.runner.time.sleep", wait)
    assert _released(jobs, store) == [jobs[1]]
    assert len(looks) == 3
    assert _released([], store) == []
    for key in "ac":
        owners[key].__exit__(None, None, None)
