"""Records made by hand, and folders of them."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from bench.analysis import metrics
from bench.records.record import Record
from bench.records.store import Manifest, Store


def sealed(record: dict) -> str:
    """A record that was changed on purpose, with a checksum that fits again."""
    return Record(**{name: value for name, value in record.items() if name != "checksum"}).to_json()


def edited(run, target, change):
    """A copy of a run with ``change`` applied to every record's dictionary."""
    shutil.copytree(run, target)
    for file in (target / "rows").glob("*.json"):
        record = json.loads(file.read_text())
        change(record)
        file.write_text(sealed(record))
    return target


def gradients(task, crop, batch, solver, error, work, **further):
    """The two records of a cell of a profile that trains nothing; its seconds tell its size and its solver."""
    settings = {
        "images": {"crop": crop, "train": batch},
        "training": {"batch": batch},
        "equilibrium": {"tol": 1e-3},
    }
    products = {
        "applications": work,
        "vjps": work // 2,
        "evaluations": float(work),
        "recorded": 1,
        "residual": 0.1,
    }
    tape = {
        "saved_bytes": work * crop**2 * batch,
        "peak_bytes": 2 * work * crop**2 * batch,
        "contraction": 0.9,
    }
    quality = products | tape | {"hypergradient_error": error, "hypergradient_cosine": 0.5} | further
    seconds = [1e-9 * work * crop**2 * batch * (1 + 0.1 * k) for k in range(3)]
    ratios = {"ratios": [1.0, 1.1, 1.2], "ratios_of_floor": [1.0, 1.0, 1.0]}
    key = re.sub(r"\W", "-", f"{task}-{crop}-{batch}-{solver}")
    return [
        Record(f"q{key}", "quality", task, solver, "", 0, "ok", "", settings, quality),
        Record(f"c{key}", "cost", task, solver, "", 0, "ok", "", settings, {"seconds": seconds} | ratios),
    ]


SOLVERS = (
    ("jfb(1)", 0.5, 4),
    ("deq(0.1)", 0.02, 30),
    ("deq(0.01)", 1e-6, 60),
    ("elsewhere_deq(1)", 0.005, 50),
)


def sized():
    """Three sizes of one task, and one of another that has no reference gradient."""
    found = [
        record
        for crop, batch in ((64, 1), (64, 2), (128, 1), (256, 1))
        for solver, error, work in SOLVERS
        for record in gradients("deblurring(huber)", crop, batch, solver, error, work)
    ]
    for solver, _, work in SOLVERS:
        found += gradients("denoising(l1)", 64, 1, solver, None, work)
    return found


def seeds(*cells):
    """Of ``(solver, seed, PSNR at equilibrium, PSNR at 10 times the depth)``."""
    rest = {"task": "t", "crop": 8, "batch": 1, "heading": "t", "status": "ok", "contraction": 0.9}
    rows = [
        dict(zip(("solver", "seed", "psnr_equilibrium", "psnr_10"), cell, strict=True)) | rest
        for cell in cells
    ]
    frame = pd.DataFrame(rows)
    names = {metric.name for metric in metrics.printed()} | {"step_iqr_ms", "floor_iqr"}
    return frame.assign(**dict.fromkeys(names - set(frame), math.nan))


def folder_of(
    records: Sequence[Record], folder: Path, profile: str = "made", summary: str = "by hand"
) -> Path:
    """Store records as a finished run."""
    store = Store(folder)
    store.claim(Manifest(profile, summary, "scikit-image", "cpu", [record.key for record in records]))
    for record in records:
        store.write(record)
    return folder
