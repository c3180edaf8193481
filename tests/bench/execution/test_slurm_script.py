"""The batch script: what is in it, and what it does where ``srun`` is a stand-in that runs things here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.__main__ import entry
from bench.records.store import Store
from bench.utils.provenance import ROOT
from tests.helpers.commands import refused
from tests.helpers.profiles import FEW

pytestmark = pytest.mark.cluster

SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do
    case $1 in --ntasks=*) tasks=${1#*=} ;; esac
    shift
done
trap 'kill $(jobs -p)' TERM
for ((task = 0; task < tasks; task++)); do SLURM_LOCALID=$task "$@" & done
wait
"""
PYTHON = """#!/bin/bash
case "$*" in
    *"dask scheduler"*) echo {} > "${@: -1}" ;;
    *"dask worker"*) echo "$CUDA_VISIBLE_DEVICES ${@: -1}" >> "$SEEN" ;;
    *) printf '%s\\n' "$@" > "$SEEN.run"; sleep 1; exit 3 ;;
esac
exec sleep 60
"""


def job(capsys, *words: str) -> str:
    assert entry(["slurm", *words]) == 0
    return capsys.readouterr().out


def stand_in(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def start(folder: Path, text: str, **more: str) -> subprocess.Popen[str]:
    (folder / "job.sh").write_text(text)
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.Popen(
        ["bash", str(folder / "job.sh")],
        env=os.environ | {"PATH": path, "SLURM_SUBMIT_DIR": str(ROOT), "SLURM_JOB_ID": "7"} | more,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_script_asks_for_what_was_asked_and_holds_nothing_of_this_machine(capsys, tmp_path):
    words = ["paper", "--out", "a b/it's", "--gpus", "4", "--partition", "gpu", "--time", "2-00:00:00"]
    text = job(capsys, *words)
    for line in ("ntasks=4", "gpus-per-task=1", "partition=gpu", "time=2-00:00:00", "cpus-per-task=4"):
        assert f"#SBATCH --{line}\n" in text
    assert "DASK_DISTRIBUTED__WORKER__DAEMON=False" in text
    for of_here in (str(ROOT), str(Path.home()), sys.prefix, os.uname().nodename):
        assert of_here not in text.replace("/bin/bash", "")
    without = job(capsys, "quick", "--out", "out", "--workers", "3")
    assert "ntasks=3" in without
    assert "gpu" not in without.lower().replace("a gpu", "")
    for found in (text, without):
        assert subprocess.run(["bash", "-n"], input=found, text=True, check=False).returncode == 0
        if check := shutil.which("shellcheck"):
            done = subprocess.run([check, "-"], input=found, text=True, capture_output=True, check=False)
            assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ["paper", "--out", "o", "--time", "soon"],
        ["paper", "--out", "o", "--partition", "a\n#SBATCH --uid=0"],
        ["nothing", "--out", "o"],
    ],
)
def test_what_is_no_word_of_a_directive_is_one_line(capsys, words):
    refused(capsys, ["slurm", *words])


def test_each_worker_sees_one_gpu_and_all_are_stopped_in_the_end(capsys, tmp_path):
    stand_in(tmp_path / "bin", "srun", SRUN)
    stand_in(tmp_path / "bin", "python", PYTHON)
    out = tmp_path / "it's $HOME `x`"
    text = job(capsys, "paper", "--out", str(out), "--gpus", "2", "--", "--images", "a b")
    begin = time.monotonic()
    process = start(tmp_path, text, SEEN=str(tmp_path / "seen"), CUDA_VISIBLE_DEVICES="4,GPU-6")
    told, _ = process.communicate(timeout=50)
    assert process.returncode == 3, told
    assert time.monotonic() - begin < 20
    address = f"{out}.scheduler-7.json"
    assert sorted((tmp_path / "seen").read_text().splitlines()) == [f"4 {address}", f"GPU-6 {address}"]
    assert (tmp_path / "seen.run").read_text().splitlines() == [
        *("-m", "bench", "run", "paper", "--device", "cuda", "--images", "a b"),
        *("--out", str(out), "--scheduler", address),
    ]
    assert not Path(address).exists()


@pytest.mark.slow
def test_the_script_runs_a_matrix(capsys, tmp_path):
    stand_in(tmp_path / "bin", "srun", SRUN)
    (tmp_path / "few.toml").write_text(FEW)
    out = tmp_path / "out"
    text = job(capsys, str(tmp_path / "few.toml"), "--out", str(out), "--workers", "2")
    told, _ = start(tmp_path, text).communicate(timeout=200)
    assert "cells: 6 ok" in told
    assert [record.status for record in Store(out).records()] == ["ok"] * 6
    assert (out / "tables" / "tables.md").is_file()
    assert not Path(f"{out}.scheduler-7.json").exists()
