"""Cells that share a process are measured as in processes of their own."""

from __future__ import annotations

import gc
import sys
import types
from dataclasses import replace

import pytest
import torch

from bench.config.matrix import load_profile
from bench.config.user_files import PREFIX

# Not public: memory that is still taken cannot be left on purpose.
from bench.execution.cell_process import LEFT_OVER, _reusable
from bench.execution.dask_pool import fingerprint  # where it is imported, not defined
from bench.execution.process_renewal import renew
from bench.execution.runner import run_profile
from bench.penalties.wavelet_matrix import analysis
from bench.records.record import Record
from bench.records.store import Store

PROFILE = """
name = "neighbours"
summary = "Cells that might see what the last one has left."
tasks = ["denoising(huber)"]
solvers = ["unrolled(2)", "deq(0.0001)", "certified(0.3)"]
seeds = [0]
dtype = "float64"
threads = 1
images = { crop = 32, train = 2, test = 2 }
training = { steps = 1, learning_rate = 0.2, batch = 1 }
oracle = { budget = 300, draws = 1 }
equilibrium = { tol = 1e-3, budget = 30, max_applications = 5 }
timing = { rounds = 2, seconds = 0.01 }
[[blocks]]
tasks = ["denoising_colour(l1)"]
solvers = ["jfb(2)"]
dtype = "float32"
"""
COUNTING = """
from dataclasses import dataclass
from solvers import FixedPoint, SolveReport, Solver, TruncatedBackprop

CALLS = []

@dataclass(frozen=True)
class Counting:
    def __call__(self, T, x0):
        CALLS.append(x0)
        return FixedPoint(T(x0), SolveReport(len(CALLS)))

def counting():
    return Solver("counting()", Counting(), TruncatedBackprop(1))
"""
"""Counts its calls in the module: in a process of its own every cell starts from one."""
OWN = {"seconds", "peak_rss", "cells_before"}
"""What may differ in the provenance."""
CELLS = 6
"""Of quality."""
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.process
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=gpu)])
def test_they_have_the_same_values_counts_and_bytes(device, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.execution.runner.run_timings", lambda *_: iter(()))
    (tmp_path / "neighbours.toml").write_text(PROFILE)
    (tmp_path / "counting.py").write_text(COUNTING)
    profile = load_profile(str(tmp_path / "neighbours.toml"))
    solvers = [
        "unrolled(2)",
        "deq(0.0001)",
        "certified(0.3)",
        "jfb(2)",
        f"{tmp_path / 'counting.py'}:counting",
    ]
    found = {}
    for most in (1, 50):
        out = tmp_path / f"out-{most}"
        options = {"device": torch.device(device), "jobs": 1, "cells_per_process": most, "solvers": solvers}
        assert run_profile(profile, out, **options) == {"stored": 0, "ok": CELLS}
        found[most] = [record for record in Store(out).records() if record.kind == "quality"]
    alone, together = found[1], found[50]
    assert [record.provenance["cells_before"] for record in alone] == [0] * CELLS
    assert [record.provenance["cells_before"] for record in together] == list(range(CELLS))
    assert [record.provenance["peak_rss"] for record in together[1:]] == [None] * (CELLS - 1)
    for one, other in zip(alone, together, strict=True):
        assert comparable(one) == comparable(other), one.identity


def comparable(record):
    kept = {name: value for name, value in record.provenance.items() if name not in OWN}
    return replace(record, provenance=kept)


def test_nothing_is_kept_for_the_next_cell_but_what_is_the_same_for_all():
    analysis("haar", 32)
    fingerprint()
    kept = fingerprint.cache_info().currsize
    sys.modules[f"{PREFIX}0"] = types.ModuleType(f"{PREFIX}0")
    try:
        assert renew(torch.device("cpu")) is None
    finally:
        gc.unfreeze()
    assert analysis.cache_info().currsize == 0
    assert f"{PREFIX}0" not in sys.modules
    assert fingerprint.cache_info().currsize == kept > 0


@gpu
def test_what_stays_on_a_gpu_is_counted():
    device = torch.device("cuda")
    try:
        before = renew(device)
        kept = torch.ones(LEFT_OVER, device=device)
        torch.mm(torch.ones(9, 9, device=device), torch.ones(9, 9, device=device))
        assert renew(device) - before == kept.nbytes
        del kept
        assert renew(device) == before
    finally:
        gc.unfreeze()


def test_a_process_is_left_after_a_failure_and_with_memory_that_is_still_taken():
    record = Record("k", "quality", "t", "s", "c", 0, "ok", "", {}, {}, {"left_over": LEFT_OVER})
    assert _reusable(record)
    assert _reusable(replace(record, status="diverged", provenance={"left_over": None}))
    assert not _reusable(replace(record, provenance={"left_over": LEFT_OVER + 1}))
    for status in ("oom", "error"):
        assert not _reusable(replace(record, status=status, provenance={"left_over": None}))
