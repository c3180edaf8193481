"""A run in benchopt's layout: a folder that ``benchopt plot`` opens, written without benchopt."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from solvers import ESTIMATORS

from ..analysis.tidy import WHO, looks, tidy
from ..records.record import Record
from ..records.store import Store, load
from ..utils.atomic_files import make_folder, write_atomically
from ..utils.errors import UserError
from .parquet import frame_table, to_bytes

OBJECTIVE = '''"""Results of eqgrad for benchopt plot, written by python -m bench export."""

from benchopt import BaseObjective


class Objective(BaseObjective):
    """There is nothing for benchopt run here: python -m bench run measures."""

    name = "eqgrad"
    url = "eqgrad"

    def set_data(self, **data):
        raise NotImplementedError("python -m bench run measures, benchopt plots")

    get_objective = evaluate_result = get_one_result = set_data
'''
"""By this file benchopt takes a folder for a benchmark."""
DESCRIPTION = """\
objective_value: relative error of the gradient at the initial parameters, against a certified float64 reference.
objective_psnr, in dB, and objective_ssim: of the test images, as trained, and at the equilibrium of what was learned.
objective_applications and objective_vjps: of T in a training step. objective_tape_mib: what autograd saved of it.
time: median seconds of a step, times the steps until then; of one step where nothing was trained."""
OUTCOME, TRAINING = "results", "training"
"""Names of objectives, among which benchopt lets one choose."""
PSNR = "objective_psnr"
METRICS = {
    "objective_value": "hypergradient_error",
    PSNR: "psnr",
    "objective_psnr_equilibrium": "psnr_equilibrium",
    "objective_ssim": "ssim",
    "objective_ssim_equilibrium": "ssim_equilibrium",
    "objective_gradient_cosine": "hypergradient_cosine",
    "objective_certified": "certified",
    "objective_applications": "applications",
    "objective_vjps": "vjps",
    "objective_tape_mib": "saved_mib",
    "objective_peak_mib": "peak_mib",
}
"""benchopt's columns, and those of ``frame.tidy`` that they hold; the first is what it shows first."""


def benchopt_rows(records: Iterable[Record]) -> pd.DataFrame:
    """Rows as benchopt 1.10 writes them, for the quality records that ended well.

    Columns: ``objective_name``, ``obj_description``, ``dataset_name`` (a task, with its size where there are several),
    ``solver_name``, ``solver_description``, ``idx_rep`` (the seed), ``sampling_strategy``, ``stop_val`` (steps of
    training), ``time`` (see ``DESCRIPTION``), those of ``METRICS`` of which anything is known, ``p_dataset_*``,
    ``p_solver_family``, and machine and versions under benchopt's names. Every cell has one row under the objective
    ``OUTCOME``, and a row for each look at its training, with the PSNR alone, under ``TRAINING``: benchopt draws the
    values of a column from the left, so a curve and what is known at its end need two.
    """
    everything = [record for record in records if record.status == "ok"]
    quality = [record for record in everything if record.kind == "quality"]
    abouts: dict[tuple[object, ...], dict[str, object]] = {}
    rows: list[dict[str, object]] = []
    for record, cell in zip(quality, tidy(everything).to_dict("records"), strict=True):
        about = abouts[tuple(cell[name] for name in WHO)] = _about(record, cell)
        steps = max(int(record.settings.get("training", {}).get("steps", 0)), 1)
        at = {"sampling_strategy": "Run_once", "stop_val": steps, "time": cell["step_ms"] / 1e3 * steps}
        metrics = {name: cell[column] for name, column in METRICS.items()}
        rows.append({"objective_name": OUTCOME} | about | at | metrics)
    for seen in looks(everything).to_dict("records"):
        about = abouts[tuple(seen[name] for name in WHO)]
        at = {"sampling_strategy": "Iteration", "stop_val": seen["step"], "time": seen["seconds"]}
        rows.append({"objective_name": TRAINING} | about | at | {PSNR: seen["psnr"]})
    found = pd.DataFrame(rows)
    return found.drop(columns=[name for name in METRICS if rows and found[name].isna().all()])


def _about(record: Record, cell: dict[str, object]) -> dict[str, object]:
    """What a row is of, and where it was measured."""
    known = record.provenance
    system, _, architecture = str(known.get("platform", "")).partition(" ")
    estimator = ESTIMATORS.get(str(cell["family"]))
    words = (estimator.make.__doc__ or "").strip().splitlines()[0] if estimator else ""
    versions = {"numpy": "", "cuda": known.get("cuda")} | known.get("versions", {})
    return {
        "obj_description": DESCRIPTION,
        "dataset_name": cell["heading"],
        "p_dataset_crop": record.crop,
        "p_dataset_batch": record.batch,
        "solver_name": record.solver,
        "solver_description": words.replace("``", ""),
        "p_solver_family": cell["family"],
        "idx_rep": record.seed,
        "platform": system,
        "platform-release": "",
        "platform-architecture": architecture,
        "system-cpus": known.get("cores"),
        "system-processor": known.get("device"),
        "env-OMP_NUM_THREADS": str(known.get("threads", "")),
        "benchmark-git-tag": known.get("commit"),
        **{f"version-{name}": version for name, version in versions.items()},
    }


def write_benchopt(folder: Path, out: Path) -> list[Path]:
    """Write a run for ``benchopt plot``: ``objective.py``, and ``outputs/NAME.parquet`` with the name of its folder.

    Several runs may go into one folder; the same run again replaces what it left there.

    Args:
        folder: of a run.
        out: made if missing.

    Raises:
        UserError: ``folder`` holds no finished cell, or ``out`` is a file or another benchmark of benchopt.
        Unwritable: the disk is full, or may only be read.
    """
    found = benchopt_rows(load(folder))
    if found.empty:
        raise UserError(f"no cell of {folder} ended well: there is nothing to plot")
    manifest = Store(folder).manifest()
    assert manifest is not None, "load has looked"
    objective = out / "objective.py"
    if out.exists() and not out.is_dir():
        raise UserError(f"--benchopt {out} is a file: choose a folder")
    if objective.exists() and objective.read_text(encoding="utf-8", errors="replace") != OBJECTIVE:
        raise UserError(f"--benchopt {out} holds another benchmark: choose another folder")
    make_folder(out / "outputs")
    write_atomically(objective, OBJECTIVE)
    name = re.sub(r"[^\w-]+", "-", folder.resolve().name)
    file = out / "outputs" / f"{name}.parquet"
    write_atomically(file, to_bytes(frame_table(found, manifest)))
    return [objective, file]
