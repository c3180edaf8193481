"""Curves over work and seconds."""

from __future__ import annotations

import pytest

from bench.analysis.tidy import looks
from bench.report.family_style import family_styles
from bench.report.psnr_plots import psnr_against_work
from tests.helpers.records import SOLVERS, gradients


def test_looks_are_against_work_and_the_seconds_of_a_timed_step():
    def looked(factor):
        return {
            "look_steps": [5, 10],
            "look_psnr": [20.0 * factor, 25.0 * factor],
            "look_work": [100, 200],
            "psnr_trained": [25.0],
        }

    records = [
        record
        for (solver, error, work), factor in zip(SOLVERS, (0.9, 1.0, 1.1, 1.0), strict=True)
        for record in gradients("denoising(l1)", 64, 1, solver, error, work, **looked(factor))
    ]
    untimed = [r for r in records if r.key != "cdenoising-l1--64-1-deq-0-1-"]
    seen = looks(untimed)
    assert len(seen) == 8
    first = seen[seen["solver"] == "jfb(1)"]
    assert list(first["psnr"]) == pytest.approx([18.0, 22.5])
    assert list(first["work"]) == [100, 200]
    step = 1e-9 * 4 * 64**2 * 1.1
    assert list(first["seconds"]) == pytest.approx([5 * step, 10 * step])
    assert seen[seen["solver"] == "deq(0.1)"]["seconds"].isna().all()
    work, seconds = psnr_against_work(seen, family_styles(seen)).panels
    lines = [next(layer.rows for layer in panel.layers if layer.kind == "lines") for panel in (work, seconds)]
    assert [rows["solver"].nunique() for rows in lines] == [4, 3]
