"""A figure and the page draw the same description of a plot, and an estimator is styled by its entry alone."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from bench.analysis.scaling import sizes
from bench.analysis.tidy import looks, tidy, trajectories
from bench.report.benchopt_export import benchopt_rows
from bench.report.bibliography import BY_KEY, cited_by, sources_markdown, works
from bench.report.bound_plot import error_against_bound
from bench.report.family_style import family_styles
from bench.report.figure_style import looks_of
from bench.report.figures import to_figure
from bench.report.page import render_page
from bench.report.page.page import cost_specs, panel_specs
from bench.report.page.vega_lite import to_vega
from bench.report.plots import run_plots
from bench.report.run_data import read_run
from solvers import ESTIMATORS, EstimatorSpec, jfb
from tests.helpers.cells import cell
from tests.helpers.page import timed, varied
from tests.helpers.records import folder_of

LOOKS = {"look_steps": [1, 2], "look_work": [5, 10], "look_psnr": [15.0, 21.5]}


@pytest.fixture(scope="module")
def records():
    found = [record for record in varied() if record.kind == "quality"]
    for record in found:
        record.values.update(LOOKS if record.status == "ok" else {})
    grown = [each for crop in (8, 16, 32) for each in sized(crop)]
    return [*found, *(timed(record, 0.01) for record in found), *grown]


def sized(crop):
    made = cell("denoising(huber)", "jfb(10)", saved_bytes=crop**2, peak_bytes=2 * crop**2)
    for record in made:
        record.settings["images"] = {"crop": crop, "train": 1}
    made[1].values["seconds"] = [1e-3 * crop**2] * 3
    return [replace(record, key=f"{record.key}-{crop}") for record in made]


@pytest.fixture(scope="module")
def plots(records):
    found = run_plots(tidy(records), trajectories(records), looks(records), sizes(records))
    bounds = [
        {"map": "m", "R": R, "K": K, "error": 0.5**K, "bound": 0.6**K} for R in (0, 1) for K in (1, 2, 3)
    ]
    return {plot.name: plot for plot in [*found, error_against_bound(bounds)]}


NAMES = (
    "memory-against-depth",
    "error-against-cost",
    "pareto",
    "psnr-against-depth",
    "psnr-past-depth",
    "psnr-against-work",
    "growth",
    "error-against-bound",
)


def test_every_plot_is_made_of_these_records(plots):
    assert tuple(plots) == NAMES


def shown(x, y, clip):
    """Places of marks, sorted."""
    return sorted(zip(map(float, x), (max(float(value), clip) for value in y), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_and_the_page_show_the_same_numbers(plots, name):
    plot = plots[name]
    figure = to_figure(plot)
    drawn = [ax for ax in figure.axes if ax.get_visible()]
    assert len(drawn) == len(plot.panels)
    for ax, panel in zip(drawn, plot.panels, strict=True):
        spec = to_vega(panel, plot.styles)
        values = [
            layer["data"]["values"] for layer in spec["layer"] if layer["mark"]["type"] in ("point", "line")
        ]
        places = [(row["x"], row["y"]) for rows in values for row in rows]
        lines = [line.get_xydata() for line in ax.lines]
        assert shown(*zip(*places, strict=True), panel.y.clip) == shown(*np.concatenate(lines).T, 0.0)
        for axis, limits in ((panel.x, ax.get_xlim()), (panel.y, ax.get_ylim())):
            encoding = spec["layer"][0]["encoding"]["x" if axis is panel.x else "y"]
            assert encoding["title"] == axis.title
            assert encoding["scale"]["domain"] == [axis.low, axis.high]
            assert limits == pytest.approx((max(axis.low, axis.clip / 2), axis.high))
        assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == (
            panel.x.title,
            panel.y.title,
            panel.title,
        )
    plt.close(figure)


def test_the_page_has_the_panels_of_the_figures(plots):
    costs = cost_specs(plots["pareto"])
    assert list(costs) == ["deblurring(l1)"]
    assert list(costs["deblurring(l1)"]) == ["work", "step_ms", "saved_mib"]
    assert list(panel_specs(plots["psnr-past-depth"])) == [p.title for p in plots["psnr-past-depth"].panels]
    assert cost_specs(None) == panel_specs(None) == {}


def halved_jfb(steps: int):
    """Half the gradient of ``jfb``."""
    return jfb(steps)


# The roster has taken ten places: the next has the first colour again, with a marker of its own.
@pytest.mark.parametrize(("colour", "drawn"), [(9, ("#56b4e9", "s")), (None, ("#0173b2", "^"))])
def test_one_entry_of_the_registry_is_all_that_an_estimator_needs(monkeypatch, tmp_path, colour, drawn):
    before = {name: style.colour for name, style in family_styles(tidy(varied())).items()}
    spec = EstimatorSpec(halved_jfb, jfb(3), bias="by half", citation=("geng2021training",), colour=colour)
    monkeypatch.setitem(ESTIMATORS, "halved_jfb", spec)
    label = "halved_jfb(9)"
    known = [r for r in varied() if r.task == "deblurring(l1)"]
    records = [
        *known,
        *(replace(r, solver=label, key=f"made-{r.key}") for r in known if r.solver == "jfb(9)"),
    ]
    frame = tidy(records)
    styles = family_styles(frame)
    style = styles["halved_jfb"]
    assert (style.colour, style.marker, style.external) == (*drawn, False)
    assert {name: s.colour for name, s in styles.items() if name in before and not s.external} == {
        name: colour for name, colour in before.items() if name in ESTIMATORS
    }
    assert list(styles)[-1] == "torchdeq_ift", "others' last"
    look = looks_of(frame)["halved_jfb"]
    assert (look["color"], look["mfc"]) == (style.colour, style.colour), "filled, as ours are"

    page = render_page(read_run(folder_of(records, tmp_path / "run")))["index.html"].decode()
    assert f'<symbol id="{style.id}"' in page
    assert f'fill="{style.colour}"' in page

    assert cited_by([label]) == ["halved_jfb"]
    assert works(["halved_jfb"]) == [BY_KEY["geng2021training"]]
    assert sources_markdown(["halved_jfb"]) == "- `halved_jfb`: geng2021training\n"

    rows = benchopt_rows(records).set_index("solver_name")
    assert set(rows.loc[label, "solver_description"]) == {"Half the gradient of jfb."}


def test_every_estimator_has_a_place_of_its_own():
    places = [spec.colour for spec in ESTIMATORS.values()]
    assert sorted(places) == list(range(len(ESTIMATORS)))


def test_a_family_on_another_operator_has_its_estimators_colour_and_the_operators_marker():
    names = ["deq", "deq on admm", "implicit on admm", "torchdeq_anderson", "torchdeq_anderson on admm"]
    peers = [name.startswith("torchdeq") for name in names]
    styles = family_styles(pd.DataFrame({"family": names, "peer": peers}))
    assert styles["deq on admm"].colour == styles["deq"].colour
    assert styles["deq on admm"].marker == styles["implicit on admm"].marker != styles["deq"].marker
    assert styles["torchdeq_anderson on admm"].external
    assert len({styles[name].colour for name in ("deq", "implicit on admm", "torchdeq_anderson")}) == 3
