"""Images and values that were lost."""

from __future__ import annotations

from bench.comparison import (
    Aspect,
    Outcome,
    compare_runs,
)
from tests.helpers.comparison import loud, of_one, with_values


def test_images_that_are_lost_are_worse(quick):
    run = with_values(quick, lambda v: v.update(psnr_trained=[None, *v["psnr_trained"][1:]]), of_one())
    (found,) = compare_runs(run, [quick])
    (psnr,) = loud(found, Aspect.QUALITY)
    assert (psnr.verdict, psnr.why) == (Outcome.WORSE, "1 images have none here, 0 none in the reference")
    (back,) = compare_runs(quick, [run])
    assert [c.verdict for c in loud(back, Aspect.QUALITY)] == [Outcome.BETTER]
    # As in the tables: images from no equilibrium mean nothing.
    lost = with_values(quick, lambda v: v.update(equilibrium_residual=1.0), of_one())
    (found,) = compare_runs(lost, [quick])
    assert {c.quantity for c in loud(found, Aspect.QUALITY)} == {"PSNR at eq., dB", "SSIM at eq."}


def test_what_diverged_on_both_sides_agrees(quick):
    def fall(values):
        values |= {"past_psnr": [20.0, *[None] * 6], "past_residuals": [0.1, *[None] * 6]}

    run = with_values(quick, fall, of_one())
    assert loud(compare_runs(run, [run])[0]) == []
    assert {c.quantity for c in loud(compare_runs(run, [quick])[0])} == {"psnr_10", "psnr_100"}
