"""The command line, as a user meets it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest

from bench import MOVED, ROOT
from bench.__main__ import entry
from tests.helpers.commands import refused
from tests.helpers.profiles import TINY
from tests.helpers.records import sealed


def command(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


@pytest.mark.parametrize("what", ["solvers", "tasks", "profiles"])
def test_lists(what, capsys):
    assert entry(["list", what]) == 0
    out = capsys.readouterr().out
    for name in {
        "solvers": ["unrolled(K)", "restarted_jfb(K, R)", "jfb(N)", "deq(tol=1e-06, budget=200)"],
        "tasks": ["deblurring(prior=huber, noise=0.02, blur=1.5)", "l1()", "inpainting_colour"],
        "profiles": ["smoke", "quick", "paper"],
    }[what]:
        assert name in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "solver"], "'solver' is not one of 'solvers', 'tasks', 'operators', 'profiles'"),
        (["run", "quik", "--out", "OUT"], "unknown profile 'quik'; did you mean quick"),
        (["run", "quick"], "Missing option '--out'"),
        (["run", "quick", "--out", "OUT", "--device", "cuda:99"], "CUDA devices; try --device cpu"),
        (["run", "quick", "--out", "OUT", "--device", "tpu"], "give cpu, cuda or auto"),
        (["run", "quick", "--out", "OUT", "--device", "cpu", "--task", "deblur"], "did you mean deblurring"),
        (
            ["run", "quick", "--out", "OUT", "--device", "cpu", "--solver", "jfb(7)"],
            "unknown solver in this profile",
        ),
        (["run", "quick", "--out", "OUT", "--device", "cpu", "--solver", "jfb(-7)"], "N must be at least 0"),
        (["run", "quick", "--out", "OUT", "--device", "cpu", "--images", "EMPTY"], "holds 0 readable images"),
        (
            ["run", "quick", "--out", "OUT", "--device", "cpu", "--images", "SMALL"],
            "smaller than the crops of 64×64",
        ),
        (["run", "quick", "--out", "OUT", "--jobs", "0"], "jobs"),
        (["run", "quick", "--out", "OUT", "--cells-per-process", "0"], "cells-per-process"),
        (
            ["run", "quick", "--out", "OUT", "--cells-per-process", "2", "--workers", "1"],
            "on a cluster each cell has a process of its own",
        ),
        (["run", "quick", "--out", "OUT", "--nope"], "No such option"),
        (["cell", "--task", "denoising", "--solver", "restarted_jfb(0, 1)"], "K must be at least 1, not 0"),
        (["cell", "--task", "denoising", "--solver", "deq", "--seed", "x"], "--seed"),
        (
            ["run", "quick", "--out", "OUT", "--device", "cpu", "--weights", "EMPTY/none.pth"],
            "cannot read the weights",
        ),
        (
            ["run", "TINY", "--out", "OUT", "--device", "cpu", "--bf16"],
            '--bf16 needs dtype = "float32", and tiny computes in float64',
        ),
        (
            ["cell", "--task", "denoising(l1)", "--solver", "deq", "--weights", "FOREIGN"],
            "denoising(l1) has no denoiser",
        ),
        (
            ["cell", "--task", "denoising(dncnn)", "--solver", "deq", "--weights", "FOREIGN"],
            "damaged or not safetensors",
        ),
        (
            ["cell", "--task", "denoising(dncnn(layers=3))", "--solver", "unrolled(2)"],
            "give --solver 'unrolled(3)'",
        ),
        (
            ["cell", "--task", "denoising(dncnn(layers=3))", "--solver", "unrolled(3)", "--profile", "WARM"],
            "has layers of its own: training.warm_start cannot",
        ),
        (["cell", "--task", "denoising(gsdrunet)", "--solver", "jfb(2)"], "gsdrunet has no shipped weights"),
        (["cell", "--task", "denoising(colours)", "--solver", "jfb(2)"], "colour"),
        (["run", "OLD", "--out", "OUT"], "training.rate is now training.learning_rate"),
        (["report", "OUT"], "holds no run"),
        (["compare", "OUT", "OUT"], "holds no run"),
        (["frobnicate"], "No such command"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(words, message, tmp_path, capsys):
    from PIL import Image

    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "SMALL").mkdir()
    for name in "ab":
        Image.new("L", (40, 40)).save(tmp_path / "SMALL" / f"{name}.png")
    (tmp_path / "TINY.toml").write_text(TINY)
    (tmp_path / "WARM.toml").write_text(TINY.replace("steps = 3", "steps = 3\nwarm_start = true"))
    (tmp_path / "OLD.toml").write_text(TINY.replace("learning_rate", "rate"))
    (tmp_path / "FOREIGN.safetensors").write_bytes(b"no weights")
    made = {w: w for w in ("OUT", "EMPTY", "SMALL", "EMPTY/none.pth")}
    made |= {"TINY": "TINY.toml", "WARM": "WARM.toml", "OLD": "OLD.toml", "FOREIGN": "FOREIGN.safetensors"}
    words = [str(tmp_path / made[w]) if w in made else w for w in words]
    line = refused(capsys, words)
    assert line.startswith("error: ")
    assert message in line
    assert not (tmp_path / "OUT").exists()


def test_an_out_of_another_profile_is_refused_and_untouched(tiny_run, capsys):
    before = {f: f.stat().st_mtime_ns for f in tiny_run.rglob("*")}
    assert entry(["run", "smoke", "--out", str(tiny_run), "--device", "cpu"]) == 2
    assert "holds a run of profile 'tiny', not 'smoke'" in capsys.readouterr().err
    assert {f: f.stat().st_mtime_ns for f in tiny_run.rglob("*")} == before


@pytest.mark.process
def test_a_cell_is_one_json_object_on_standard_output(tiny_file):
    words = ["--task", "denoising(l1)", "--solver", "restarted_jfb(2, 3)", "--seed", "1"]
    ran = command("cell", *words, "--profile", str(tiny_file), "--device", "cpu", "--json")
    assert ran.returncode == 0, ran.stderr
    record = json.loads(ran.stdout)
    assert ran.stdout.count("\n") == 1
    assert ran.stderr == ""
    assert (record["task"], record["solver"], record["seed"]) == (
        "denoising(l1)",
        "restarted_jfb(2, 3)",
        1,
    )
    assert record["status"] == "ok"
    assert set(record["provenance"]) >= {"commit", "dirty", "versions", "device", "threads"}
    assert record["values"]["applications"] == 8


def test_a_cell_of_a_run_is_the_same_cell_by_itself(tiny_run, capsys):
    from bench.records.store import Store

    words = [
        "--task",
        "denoising(huber)",
        "--solver",
        "unrolled(2)",
        "--seed",
        "1",
        "--device",
        "cpu",
        "--json",
    ]
    assert entry(["cell", *words, "--profile", str(tiny_run.parent / "tiny.toml")]) == 0
    alone = json.loads(capsys.readouterr().out)
    stored = Store(tiny_run).read(alone["key"])
    assert stored is not None
    assert stored.values == alone["values"]


@pytest.mark.slow
def test_bfloat16_is_another_task_with_its_own_label(tiny_file, capsys):
    brief = "budget = 20\nmax_applications = 20\n[oracle]\nbudget = 20\n[timing]"
    text = (
        TINY.replace("float64", "float32").replace("steps = 3", "steps = 1").replace("crop = 32", "crop = 16")
    )
    tiny_file.write_text(text.replace("budget = 300", "").replace("[timing]", brief))
    words = [
        "cell",
        "--task",
        "denoising(dncnn)",
        "--solver",
        "jfb(1)",
        "--profile",
        str(tiny_file),
        "--json",
    ]
    words += ["--device", "cpu"]
    assert entry(words) == 0
    plain = json.loads(capsys.readouterr().out)
    assert entry([*words, "--bf16"]) == 0
    rounded = json.loads(capsys.readouterr().out)
    assert (plain["task"], rounded["task"]) == ("denoising(dncnn)", "denoising(dncnn), bf16")
    assert plain["key"] != rounded["key"]
    assert rounded["values"]["contraction"] is None
    assert rounded["values"]["psnr_trained"] != plain["values"]["psnr_trained"]
    assert rounded["values"]["psnr_trained"] == pytest.approx(plain["values"]["psnr_trained"], abs=0.2)


def test_a_cell_for_people_is_a_table(tiny_file, capsys):
    words = [
        "cell",
        "--task",
        "denoising",
        "--solver",
        "unrolled(1)",
        "--profile",
        str(tiny_file),
        "--device",
        "cpu",
    ]
    assert entry(words) == 0
    assert "hypergradient_error" in capsys.readouterr().out


@pytest.mark.process
def test_a_run_from_nothing_to_figures(tmp_path, capsys, monkeypatch):
    """The real thing in a real process, on a folder of the user's own images; the second time it is all there."""
    from PIL import Image
    from skimage import data

    for i, image in enumerate((data.camera(), data.coins(), data.brick())):
        (tmp_path / "mine").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "mine" / f"{i}.png")
    profile = tmp_path / "tiny.toml"
    profile.write_text(TINY)
    words = ["run", str(profile), "--out", str(tmp_path / "out"), "--images", str(tmp_path / "mine")]
    words += ["--device", "cpu", "--task", "denoising", "--solver", "unrolled(2)", "--solver", "deq(1e-08)"]
    ran = command(*words)
    assert ran.returncode == 0, ran.stderr
    assert "cells: 6 ok" in ran.stderr
    for name in ("tables/tables.md", "tables/denoising-huber.tex", "figures/panels-denoising-huber.png"):
        assert (tmp_path / "out" / name).stat().st_size > 500
    monkeypatch.setattr("bench.report.figures.render_figures", lambda *parts: {})
    assert entry(words) == 0
    assert "cells: 6 stored" in capsys.readouterr().err
    assert entry(["compare", str(tmp_path / "out"), str(tmp_path / "out"), "--fail-on", "any"]) == 0


def test_a_difference_is_exit_code_1(tiny_run, tmp_path, capsys):
    import shutil

    shutil.copytree(tiny_run, tmp_path / "run")
    for file in (tmp_path / "run" / "rows").glob("*.json"):
        record = json.loads(file.read_text())
        if record["kind"] == "quality":
            record["values"]["saved_bytes"] += 10_000
            file.write_text(sealed(record))
    assert entry(["compare", str(tmp_path / "run"), str(tiny_run), "--fail-on", "values"]) == 1
    assert "saved_mib" in capsys.readouterr().out


@pytest.mark.process
@pytest.mark.parametrize("name", sorted(MOVED))
def test_a_module_that_moved_is_one_line_with_its_successor(name):
    options = {"cwd": ROOT, "capture_output": True, "text": True}
    ran = subprocess.run([sys.executable, "-m", name, "--check", "x"], **options)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"error: {name} is now {MOVED[name]}: run python -m {MOVED[name]}\n"
    assert importlib.util.find_spec(MOVED[name])
