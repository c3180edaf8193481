"""Images past the depth of training."""

from __future__ import annotations

import math

from bench.analysis.metric import Table
from bench.analysis.tidy import tidy, trajectories
from bench.records.store import load
from bench.report.report import write_report
from bench.report.summary import printable, summarise
from tests.helpers.records import edited


def past(psnr, residuals, depth=2):
    def change(record):
        if (record["kind"], record["solver"], record["seed"]) == ("quality", "unrolled(2)", 1):
            multiples = (1, 2, 5, 10, 20, 50, 100)[: len(psnr)]
            record["values"] |= {
                "past_depths": [depth * m for m in multiples],
                "past_psnr": psnr,
                "past_residuals": residuals,
                "jacobian_norm": 1.3,
                "stalls": True,
            }

    return change


def test_past_the_depth_the_table_tells_what_was_seen(tiny_run, tmp_path):
    """One seed of one solver diverges; JSON holds null for what is not finite."""
    fall = past([20.0, 15.0, None, None, None, None, None], [0.1, 0.5, *[None] * 5])
    run = edited(tiny_run, tmp_path / "run", fall)
    frame = tidy(load(run))
    row = frame[(frame["solver"] == "unrolled(2)") & (frame["seed"] == 1)].iloc[0]
    assert (row["psnr_10"], row["psnr_100"]) == (-math.inf, -math.inf)
    text, best = printable(summarise(frame), "denoising(huber)", Table.DEPTH)
    first = text.iloc[0]
    assert first["T at its equilibrium"] == "not contractive here (L = 1.30)", "the worst seed counts"
    assert first["residual stalls"] == "on some seeds"
    assert first["at 100 ×"] == "diverged on 1 of 2"
    assert not best.iloc[0]["at 100 ×"]
    assert best["at 100 ×"].any()
    assert text.iloc[1]["T at its equilibrium"].startswith("contractive (L = 0.4")
    assert text.iloc[1]["residual stalls"] == "no"
    write_report(run)
    assert (run / "figures" / "psnr-past-depth.png").stat().st_size > 5000
    assert "diverged" in (run / "tables" / "tables.md").read_text()


def test_depths_that_nobody_looked_at_are_empty(tiny_run, tmp_path):
    run = edited(tiny_run, tmp_path / "run", past([20.0, 21.0, 22.0, 23.0], [0.1, 0.1, 0.1, 0.1]))
    text, _ = printable(summarise(tidy(load(run)).query("seed == 1")), "denoising(huber)", Table.DEPTH)
    assert (text.iloc[0]["at 10 ×"], text.iloc[0]["at 100 ×"]) == ("23.00", "—")


def test_trajectories_hold_every_look(tiny_run):
    seen = trajectories(load(tiny_run))
    assert len(seen) == 12 * 7
    assert sorted(seen["multiple"].unique()) == [1, 2, 5, 10, 20, 50, 100]
    assert seen["residual"].min() >= 0
    assert not seen["psnr"].isna().any()


def test_images_from_no_equilibrium_are_not_shown(tiny_run, tmp_path):
    def lose(record):
        if (record["kind"], record["solver"]) == ("quality", "unrolled(2)"):
            record["values"]["equilibrium_residual"] = 11 * record["settings"]["equilibrium"]["tol"]

    frame = tidy(load(edited(tiny_run, tmp_path / "run", lose)))
    lost = frame["solver"] == "unrolled(2)"
    assert frame[lost][["psnr_equilibrium", "ssim_equilibrium"]].isna().all().all()
    assert not frame[~lost][["psnr_equilibrium", "ssim_equilibrium"]].isna().any().any()
    text, _ = printable(summarise(frame), "denoising(huber)")
    assert list(text["PSNR at eq. (dB)"] == "—") == [True, False, False]
