"""Lines and axes of plots."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analysis.over_seeds import past_depth
from bench.analysis.tidy import tidy, trajectories
from bench.report.family_style import family_styles
from bench.report.page.page import panel_specs
from bench.report.plot import log_ticks
from bench.report.psnr_plots import psnr_past_depth
from tests.helpers.page import record


@pytest.mark.misuse(
    "an iterate diverges past its depth on one seed of two",
    "right: its line ends, and the table says on how many",
)
def test_a_line_does_not_go_on_with_the_seeds_that_survived():
    whole, gone = record("t", "jfb(1)", 0, settled=26.0), record("t", "jfb(1)", 1)
    gone = replace(
        gone, values=gone.values | {"past_psnr": [20.0, None, None], "past_residuals": [1.0, None, None]}
    )
    seen = trajectories([whole, gone])
    found = past_depth(seen)
    assert list(found["said"]) == ["20.00", "diverged on 1 of 2", "diverged on 1 of 2"]
    assert list(found["psnr"].notna()) == [True, False, False]
    (spec,) = panel_specs(psnr_past_depth(seen, family_styles(tidy([whole, gone])))).values()
    assert [row["x"] for row in spec["layer"][0]["data"]["values"]] == [1]
    assert "A line ends where a seed diverges: jfb(1)" in spec["description"]


def test_numbers_of_a_logarithmic_axis_are_few_and_inside():
    for low, high in ((1e-10, 1.0), (2e-3, 0.9), (11, 60), (3, 3.1), (1, 1000)):
        found = log_ticks(low, high)
        assert 2 <= len(found) <= 9
        assert found == sorted(found)
        assert all(0.98 * low <= value <= 1.02 * high for value in found)
