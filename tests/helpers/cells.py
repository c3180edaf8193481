"""Cells of a report, made by hand."""

from __future__ import annotations

import re
from dataclasses import replace

from bench.records.record import Record


def cell(task, solver, seed=0, **further):
    """The two records of a cell that trained for 4 steps of half a second."""
    known = {"platform": "Linux x86_64", "cores": 2, "threads": 1, "versions": {"numpy": "2.0"}}
    given = {
        "images": {"crop": 8, "train": 1},
        "training": {"batch": 1, "steps": 4},
        "equilibrium": {"tol": 1e-3},
    }
    values = {
        "psnr_trained": [20.0, 22.0],
        "psnr_measurement": [18.0, 18.0],
        "hypergradient_error": 0.25,
        "hypergradient_cosine": -0.5,
        "applications": 3,
        "vjps": 2,
        "saved_bytes": 2**20,
        "contraction": 0.9,
        "converged": True,
    } | further
    key = re.sub(r"\W+", "-", f"{task}-{solver}-{seed}")
    ratios = {"ratios": [1.0, 1.0], "ratios_of_floor": [1.0, 1.0]}
    timing = {"seconds": [0.5, 0.5, 0.5]} | ratios
    return [
        Record(f"q{key}", "quality", task, solver, "", seed, "ok", "", given, values, known),
        Record(f"c{key}", "cost", task, solver, "", seed, "ok", "", given, timing, known),
    ]


LOOKS = {"look_steps": [1, 2, 4], "look_work": [5, 10, 20], "look_psnr": [15.0, None, 21.5]}


def some_cells():
    """Two tasks, of which one has no reference gradient; two seeds; looks at some; a failure."""
    failed = replace(
        cell("deblurring(l1)", "deq(1e-05)", 1)[0], status="oom", reason="out of memory", values={}
    )
    return [
        *cell("deblurring(l1)", "jfb(10)", 0, **LOOKS),
        *cell("deblurring(l1)", "jfb(10)", 1, hypergradient_error=0.3),
        *cell("deblurring(l1)", "restarted_jfb(2, 3)"),
        *cell("inpainting(drunet)", "jfb(10)", hypergradient_error=None, hypergradient_cosine=None),
        failed,
    ]
