"""A run in the layout of benchopt: a folder that ``benchopt plot`` opens, written without benchopt."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from solvers import ESTIMATORS

from ..analysis import metrics
from ..analysis.metric import Metric
from ..analysis.tidy import WHO, looks, tidy
from ..records.record import Record
from ..records.store import Store, load
from ..utils.errors import UserError
from .parquet import frame_table, to_bytes
from .report import write_files

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
"""benchopt recognises a benchmark by this file."""
OUTCOME, TRAINING = "results", "training"
"""Names of objectives, which benchopt offers as a choice."""
PSNR = "objective_psnr"
TIME = "time: median seconds of a step, times the steps until then; of one step if nothing was trained."


def objectives() -> dict[str, Metric]:
    """Metrics by benchopt's columns; the first is shown first."""
    exported = {f"objective_{m.benchopt}": m for m in metrics.METRICS if m.benchopt}
    return dict(sorted(exported.items(), key=lambda item: item[0] != "objective_value"))


def objective_description() -> str:
    """What benchopt shows of an objective: one line per column."""
    lines = [f"{name}{f', {m.unit}' if m.unit else ''}: {m.explanation}" for name, m in objectives().items()]
    return "\n".join([*lines, TIME])


def benchopt_rows(records: Iterable[Record]) -> pd.DataFrame:
    """Rows as benchopt 1.10 writes them, for the records of quality that ended well.

    Columns: ``objective_name``, ``obj_description``, ``dataset_name`` (the heading of the task), ``solver_name``,
    ``solver_description``, ``idx_rep`` (the seed), ``sampling_strategy``, ``stop_val`` (steps of training), ``time``
    (see ``TIME``), those of ``objectives`` with a value, ``p_dataset_*``, ``p_solver_family``, and machine and versions
    under benchopt's names. Every cell has one row under the objective ``OUTCOME``, and under ``TRAINING`` one with the
    PSNR alone for each evaluation during training: benchopt draws the values of a column from the left, so that a
    curve and the values at its end need two objectives.
    """
    records = [record for record in records if record.status == "ok"]
    quality = [record for record in records if record.kind == "quality"]
    identities: dict[tuple[object, ...], dict[str, object]] = {}
    rows: list[dict[str, object]] = []
    for record, cell in zip(quality, tidy(records).to_dict("records"), strict=True):
        identity = identities[tuple(cell[name] for name in WHO)] = _identity(record, cell)
        steps = max(int(record.settings.get("training", {}).get("steps", 0)), 1)
        stop = {"sampling_strategy": "Run_once", "stop_val": steps, "time": cell["step_ms"] / 1e3 * steps}
        values = {name: cell[metric.name] for name, metric in objectives().items()}
        rows.append({"objective_name": OUTCOME} | identity | stop | values)
    for look in looks(records).to_dict("records"):
        identity = identities[tuple(look[name] for name in WHO)]
        stop = {"sampling_strategy": "Iteration", "stop_val": look["step"], "time": look["seconds"]}
        rows.append({"objective_name": TRAINING} | identity | stop | {PSNR: look["psnr"]})
    table = pd.DataFrame(rows)
    return table.drop(columns=[name for name in objectives() if rows and bool(table[name].isna().all())])


def _identity(record: Record, cell: dict[str, object]) -> dict[str, object]:
    """Columns that say what a row is of and where it was measured."""
    provenance = record.provenance
    system, _, architecture = str(provenance.get("platform", "")).partition(" ")
    estimator = ESTIMATORS.get(str(cell["family"]))
    words = (estimator.make.__doc__ or "").strip().splitlines()[0] if estimator else ""
    versions = {"numpy": "", "cuda": provenance.get("cuda")} | provenance.get("versions", {})
    return {
        "obj_description": objective_description(),
        "dataset_name": cell["heading"],
        "p_dataset_crop": record.crop,
        "p_dataset_batch": record.batch,
        "solver_name": record.method,
        "solver_description": words.replace("``", ""),
        "p_solver_family": cell["family"],
        "idx_rep": record.seed,
        "platform": system,
        "platform-release": "",
        "platform-architecture": architecture,
        "system-cpus": provenance.get("cores"),
        "system-processor": provenance.get("device"),
        "env-OMP_NUM_THREADS": str(provenance.get("threads", "")),
        "benchmark-git-tag": provenance.get("commit"),
        **{f"version-{name}": version for name, version in versions.items()},
    }


def render_benchopt(folder: Path) -> dict[str, str | bytes]:
    """A run for ``benchopt plot``: ``objective.py``, and ``outputs/NAME.parquet`` with the name of its folder.

    Returns:
        Contents by path, relative to the folder of the benchmark.

    Raises:
        UserError: ``folder`` holds no finished cell.
    """
    rows, manifest = benchopt_rows(load(folder)), Store(folder).manifest()
    if rows.empty:
        raise UserError(f"no cell of {folder} ended well: there is nothing to plot")
    assert manifest is not None, "load refuses a folder without one"
    name = re.sub(r"[^\w-]+", "-", folder.resolve().name)
    return {"objective.py": OBJECTIVE, f"outputs/{name}.parquet": to_bytes(frame_table(rows, manifest))}


def write_benchopt(folder: Path, out: Path) -> list[Path]:
    """Write a run for ``benchopt plot``. Several runs may share ``out``; a run replaces its own file.

    Args:
        folder: of a run.
        out: made if missing.

    Raises:
        UserError: ``folder`` holds no finished cell, or ``out`` is a file or another benchmark of benchopt.
        Unwritable: the disk is full, or may only be read.
    """
    contents, objective = render_benchopt(folder), out / "objective.py"
    if out.exists() and not out.is_dir():
        raise UserError(f"--benchopt {out} is a file: choose a folder")
    if objective.exists() and objective.read_text(encoding="utf-8", errors="replace") != OBJECTIVE:
        raise UserError(f"--benchopt {out} holds another benchmark: choose another folder")
    return write_files(out, contents)
