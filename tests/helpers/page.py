"""Records for pages of runs, and what a test does with a plot."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from bench.analysis.recommendation import candidates
from bench.analysis.tidy import tidy
from bench.records.record import Record
from bench.report.page import recommendations
from bench.report.page.page import render_page
from bench.report.run_data import read_run

QUICK = Path(__file__).parents[2] / "results" / "reference" / "depths-cpu"

HOSTILE = "</script><img src=x onerror=alert(1)>"

MIB = 2**20


def record(task, solver, seed=0, **values):
    """A record of quality of two images; ``error=None`` has no reference, ``psnr=None`` trained nothing."""
    psnr, settled, loss = values.pop("psnr", 20.0), values.pop("settled", 21.0), values.pop("loss", 1.0)
    stays = values.pop("stays", True)
    found = {
        "applications": values.pop("work", 10),
        "vjps": 2,
        "recorded": 2,
        "evaluations": 12.0,
        "residual": 1e-3,
        "hypergradient_error": values.pop("error", 0.005),
        "contraction": values.pop("contraction", 0.9),
        "saved_bytes": values.pop("tape", 1.0) * MIB,
        "peak_bytes": 2 * MIB,
    }
    if psnr is not None:
        found |= {"psnr_trained": [psnr], "psnr_equilibrium": [settled], "psnr_measurement": [10.0]}
        found |= {"training_loss_equilibrium": loss, "equilibrium_stays": stays}
        if settled is not None:
            found |= {"psnr_validation_equilibrium": [settled - 1, settled + 1], "equilibrium_residual": 1e-7}
        found |= {
            "past_depths": [4, 40, 400],
            "past_psnr": [psnr, settled, settled],
            "past_residuals": [1.0, 0.1, 0.1],
        }
    settings = {
        "dtype": "float64",
        "images": {"crop": 8, "train": 2},
        "training": {"batch": 2},
        "equilibrium": {"tol": 1},
    }
    made = {
        "device": "a machine",
        "commit": "0123456789abcdef",
        "versions": {"torch": "2.0"},
        "cores": 2,
        "threads": 1,
    }
    key = re.sub(r"\W", "-", f"{task}-{solver}")[:60] + f"-{seed}"
    return Record(key, "quality", task, solver, "", seed, "ok", "", settings, found, made | values)


def timed(of, seconds):
    """The seconds of the cell of a record."""
    values = {"seconds": [seconds] * 3, "ratios": [1.0] * 3, "ratios_of_floor": [1.0] * 3}
    return replace(of, key=f"c-{of.key}", kind="cost", values=values)


def varied():
    """Ties, seeds, an estimator without an equilibrium, failures, seconds that are missing, tapes of all sizes."""
    found = []
    for seed in (0, 1):
        found += [
            record(
                "deblurring(l1)",
                "unrolled(4)",
                seed,
                error=0.2,
                work=4,
                settled=24.0 + seed,
                loss=1.3,
                tape=8,
            ),
            record(
                "deblurring(l1)", "unrolled(40)", seed, error=0.002, work=40, settled=24.1 - seed, tape=80
            ),
            record(
                "deblurring(l1)", "deq(1e-06)", seed, error=0.009, work=60, settled=24.3, loss=1.02, tape=0.5
            ),
            record("deblurring(l1)", "jfb(9)", seed, error=0.004, work=9, settled=24.295, tape=1.5),
            record(
                "deblurring(l1)",
                "torchdeq_ift(9)",
                seed,
                error=0.3,
                work=70,
                settled=23.0,
                tape=2,
                stays=False,
            ),
            record("denoising(l1)", "jfb(9)", seed, error=None, contraction=1.5, settled=9.0),
            record("denoising(l1)", "unrolled(4)", seed, error=None, contraction=1.5, settled=None, psnr=9.5),
        ]
    lost = record("inpainting(l1)", "deq(1e-06)")
    found += [replace(lost, status="diverged", reason="the residual grew", values={})]
    return [*found, *(timed(r, 0.01 * k) for k, r in enumerate(found[:4], start=1) if r.solver != "jfb(9)")]


def drawn(page, selector):
    """Scroll to a plot and wait until it is drawn."""
    box = page.locator(selector)
    box.scroll_into_view_if_needed()
    box.locator("svg.marks").wait_for()
    return box


def column(page, grid, place):
    return page.locator(f"#{grid} tbody tr:visible").evaluate_all(
        "(rows, place) => rows.map((row) => row.cells[place].textContent.trim())", place
    )


def unsettled(task="deblurring(l1)", solver="jfb(9)", seed=0, tol=1e-4, **values):
    """A record with the tolerance of a profile that is kept."""
    made = record(task, solver, seed)
    settings = made.settings | {"equilibrium": {"tol": tol}}
    return replace(made, settings=settings, values=made.values | values)


def write_page(folder, bounds=None) -> Path:
    """The page of a run, written into its folder."""
    for name, content in render_page(read_run(folder), bounds).items():
        (folder / name).write_bytes(content)
    return folder / "index.html"


def cards(records):
    frame = tidy(records)
    return recommendations.cards(frame, candidates(frame))
