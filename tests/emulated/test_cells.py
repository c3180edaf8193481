"""``--device cuda`` from end to end: a cell, the commands, a resumed training, and the certificates of a step."""

from __future__ import annotations

import json

import pytest
import torch

from bench.__main__ import entry
from bench.config.matrix import Cell, load_profile, parse_solver, parse_task
from bench.execution.cell_process import run_cell
from bench.execution.preparation import images_for, plan_jobs
from bench.records.store import Store

TINY = """
name = "tiny"
summary = "for the emulated device"
tasks = ["denoising(huber)"]
solvers = ["restarted_jfb(2, 3)"]
seeds = [0]
dtype = "float64"
threads = 1
[images]
crop = 32
train = 2
test = 1
validation = 1
[training]
steps = 2
learning_rate = 0.2
batch = 1
checkpoint = 1
eval_every = 1
warm_start = true
[equilibrium]
tol = 1e-4
budget = 10
max_applications = 10
[oracle]
budget = 300
[timing]
rounds = 3
seconds = 0.2
"""


@pytest.fixture
def profile(tmp_path):
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    return file


def cells(profile, task, solver, devices):
    loaded = load_profile(str(profile))
    one = Cell(parse_task(task), parse_solver(solver), 0)
    images = images_for([(loaded, [one])], None)
    for device in devices:
        ((job, *_), _) = plan_jobs([(loaded, [one])], images, torch.device(device))
        yield job


@pytest.mark.parametrize(
    ("task", "solver"),
    [
        ("denoising(huber)", "restarted_jfb(2, 3)"),
        pytest.param("deblurring(huber)", "certified(0.1)", marks=pytest.mark.slow),
        pytest.param("inpainting(drunet(learn_weights=True))", "unrolled(2)", marks=pytest.mark.slow),
    ],
)
def test_a_cell_measures_what_it_measures_on_the_cpu(task, solver, profile, cuda):
    there, here = (run_cell(job, None) for job in cells(profile, task, solver, ("cuda", "cpu")))
    assert there.status == "ok", there.reason
    assert there.settings["device"] == "cuda"
    assert there.provenance["device"] == "emulated"
    assert there.provenance["peak_gpu"] > 0
    assert there.values.keys() == here.values.keys()
    for name, value in here.values.items():
        if "bytes" not in name and "seconds" not in name:
            found, expected = list(numbers(there.values[name])), list(numbers(value))
            assert found == pytest.approx(expected, rel=1e-6, abs=1e-8, nan_ok=True), name


def numbers(value):
    """The numbers in a value of a record; words are none."""
    if isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, int | float):
        yield float(value)


@pytest.mark.slow
def test_a_stopped_training_goes_on(profile, tmp_path, cuda, monkeypatch):
    (job,) = cells(profile, "denoising(huber)", "unrolled(2)", ("cuda",))
    for name in ("whole", "out"):
        Store(tmp_path / name).rows.mkdir(parents=True)
    whole = run_cell(job, tmp_path / "whole").values["losses"]
    steps = [0]
    from bench.measurement import training

    plain = training.training_step

    def killed(*given):
        steps[0] += 1
        if steps[0] == 2:
            raise RuntimeError("killed")
        return plain(*given)

    with monkeypatch.context() as patch:
        patch.setattr(training, "training_step", killed)
        assert run_cell(job, tmp_path / "out").status == "error"
    assert (tmp_path / "out" / "checkpoints" / f"{job.key}.pt").exists()
    resumed = run_cell(job, tmp_path / "out")
    assert resumed.status == "ok", resumed.reason
    assert resumed.values["losses"] == whole


def test_the_commands_take_the_device(profile, capsys, cuda):
    profile.write_text(TINY.replace("steps = 2", "steps = 0"))
    words = ["--task", "denoising(huber)", "--solver", "deq(1e-3)", "--profile", str(profile), "--json"]
    assert entry(["cell", *words, "--device", "cuda"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["settings"]["device"] == "cuda"
    assert record["status"] == "ok"
    assert entry(["certify", *words, "--device", "cuda", "--oracle"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["certificate"]["rigorous"]
    assert found["audit_bounds"]["error"] >= found["error"] * (1 - 1e-9)
