"""Errors of gradients over draws of the noise."""

from __future__ import annotations

import pytest
import torch

from bench.config.matrix import parse_solver, parse_task
from bench.measurement.measure import measure
from bench.measurement.reference_cache import cached_reference
from bench.measurement.training import parameters, training_step
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from solvers import neumann, restarted_jfb
from solvers.conformance import relative_error
from tests.bench.measurement.conftest import tiny
from tests.helpers.tiny_cells import CPU, cell


def test_errors_are_of_every_draw(tiny_file, tmp_path):
    """Mask and noise are drawn again; each draw has a reference of its own, shared among cells by file."""
    profile = tiny(tiny_file, steps=0)
    profile = profile.model_copy(update={"oracle": profile.oracle.model_copy(update={"draws": 3})})
    images, one = find_images(), cell("inpainting(huber)", "restarted_jfb(2, 3)")
    values = measure(one, profile, images, CPU, references=tmp_path).values
    errors = values["hypergradient_errors"]
    assert len(set(errors)) == 3
    assert values["hypergradient_draws"] == ["ok"] * 3
    assert values["hypergradient_error"] == pytest.approx(sum(errors) / 3)
    assert (values["hypergradient_error_worst"], values["hypergradient_error_least"]) == (
        max(errors),
        min(errors),
    )
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    layout, size = profile.images.layout(), profile.training.batch
    for draw in range(3):
        exact = cached_reference(one.task, images, layout, size, 0, draw=draw)
        problem = build_problem(one.task, images, layout, 0, dtype=torch.float64, draw=draw)
        training_step(one.solver, problem, problem.train.select(torch.arange(size)))
        found = torch.cat([p.grad.flatten() for p in parameters(problem)])
        assert relative_error(found, exact.gradient) == pytest.approx(errors[draw])


@pytest.mark.misuse(
    "an iteration that diverges on one draw of the noise",
    "right: its largest error is infinite, and the cell goes on",
)
def test_a_draw_that_diverges_has_an_infinite_error(tiny_file, monkeypatch):
    from bench.analysis.tidy import tidy
    from bench.measurement import gradient_draws as module
    from bench.measurement.training import TrainingStopped
    from bench.records.job import Job

    def drawn(*_):
        raise TrainingStopped("diverged", "a value exceeds 1000 times the peak of the images")

    monkeypatch.setattr(module, "_further_draw", drawn)
    profile = tiny(tiny_file)
    profile = profile.model_copy(update={"oracle": profile.oracle.model_copy(update={"draws": 2})})
    one = cell("inpainting(huber)", "restarted_jfb(2, 3)")
    found = measure(one, profile, find_images(), CPU)
    assert found.status == "ok"
    assert found.values["hypergradient_draws"] == ["ok", "diverged"]
    record = Job("k", "quality", one, profile, find_images(), "cpu").record("ok", "", found.values, {})
    for kept in (record, type(record).from_json(record.to_json())):  # infinities are null in a file
        (row,) = tidy([kept]).to_dict("records")
        assert row["hypergradient_error_worst"] == row["hypergradient_error"] == float("inf")
        assert row["hypergradient_error_least"] == found.values["hypergradient_errors"][0]
        assert row["draws"] == 2


def test_the_recorded_error_is_that_of_the_gradient(tiny_file):
    profile, images = tiny(tiny_file), find_images()
    values = measure(cell("inpainting(huber)", "unrolled(2)"), profile, images, CPU).values
    exact = cached_reference(parse_task("inpainting(huber)"), images, profile.images.layout(), 1, 0)
    estimate = torch.tensor(values["gradient"], dtype=torch.float64)
    assert values["hypergradient_error"] == pytest.approx(relative_error(estimate, exact.gradient), rel=1e-12)
    assert 0.1 < values["hypergradient_error"] < 10


@pytest.mark.parametrize(
    "text",
    [
        "denoising(huber)",
        *(pytest.param(t, marks=pytest.mark.slow) for t in ("deblurring(huber)", "inpainting(huber)")),
    ],
)
def test_the_errors_of_the_quick_table_behave_as_the_theory_says(text):
    """DEQ is exact; restarted JFB improves with K, and with R tends to K-layer JFB at the equilibrium."""
    task, images, layout = parse_task(text), find_images(), Layout(32, 2, 1)
    exact = cached_reference(task, images, layout, 2, 0)
    problem = build_problem(task, images, layout, 0, dtype=torch.float64)

    def gradient(solver):
        training_step(solver, problem, problem.train)
        return torch.cat([p.grad.flatten() for p in parameters(problem)])

    def error(solver):
        return relative_error(gradient(solver), exact.gradient)

    assert error(parse_solver("deq(1e-09)")) < 1e-4
    # With many restarts only: with few, the error may rise with K before it falls (THEORY C7).
    errors = [error(restarted_jfb(K, 20)) for K in (1, 10, 40)]
    assert errors[0] > errors[1] > errors[2], errors
    limit = gradient(neumann(2000, 10))
    gaps = [relative_error(gradient(restarted_jfb(10, R)), limit) for R in (1, 16, 64)]
    assert gaps[-1] < 1e-3
    assert gaps[0] > gaps[-1]
