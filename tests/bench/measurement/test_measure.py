"""What is measured of a cell, on real crops, and what is recorded where something fails."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from bench.config.matrix import parse_task
from bench.measurement.equilibrium import residuals
from bench.measurement.measure import measure
from bench.measurement.memory import peak_bytes
from bench.measurement.training import parameters
from bench.tasks import build_problem
from bench.tasks.images import find_images
from solvers import Solution, SolveReport
from tests.bench.measurement.conftest import tiny
from tests.helpers.tiny_cells import CPU, cell


def test_a_cell_is_what_it_says(tiny_file):
    profile, images = tiny(tiny_file), find_images()
    found = measure(cell("inpainting(huber)", "restarted_jfb(2, 3)"), profile, images, CPU)
    values = found.values
    assert found.status == "ok"
    assert (values["applications"], values["recorded"], values["vjps"]) == (8, 2, 2)
    assert len(values["losses"]) == profile.training.steps
    assert len(values["psnr_trained"]) == profile.images.test
    assert values["oracle"] == "certified"
    assert values["equilibrium_converged"]
    assert sum(values["psnr_equilibrium"]) > sum(values["psnr_measurement"])
    learned = torch.tensor(values["learned"]["prior.log_weights"])
    assert learned.shape == (1, 3, 3)
    start = torch.tensor(0.02).log()
    assert ((learned - start).abs() > 0.1).any(), "training did not move the weights"


def test_without_training_the_gradient_and_the_costs_are_measured_and_nothing_else(tiny_file):
    one, images = cell("inpainting(huber)", "restarted_jfb(2, 3)"), find_images()
    whole = measure(one, tiny(tiny_file), images, CPU)
    found = measure(one, tiny(tiny_file, steps=0), images, CPU)
    assert found.status == "ok"
    assert (found.panels, found.weights) == ({}, {})
    assert found.values == {name: whole.values[name] for name in found.values}
    assert {"hypergradient_error", "applications", "vjps", "saved_bytes", "peak_bytes"} <= set(found.values)
    assert {"losses", "learned", "psnr_trained", "jacobian_norm"}.isdisjoint(found.values)


def test_a_profile_may_do_without_the_reference(tiny_file, monkeypatch):
    from bench.measurement import gradient_draws as module

    monkeypatch.setattr(module, "cached_reference", lambda *_: pytest.fail("was asked for"))
    profile = tiny(tiny_file, steps=0)
    profile = profile.model_copy(update={"oracle": profile.oracle.model_copy(update={"budget": 0})})
    values = measure(cell("inpainting(huber)", "unrolled(2)"), profile, find_images(), CPU).values
    assert values["oracle"] == "none was asked for"
    assert values["hypergradient_error"] != values["hypergradient_error"]
    assert values["saved_bytes"] > 0


def test_no_gradient_is_there_before_a_step_whose_peak_is_measured(tiny_file, monkeypatch):
    from bench.measurement import gradient_draws as module

    seen = []
    profile, images = tiny(tiny_file), find_images()
    profile = profile.model_copy(update={"oracle": profile.oracle.model_copy(update={"budget": 0})})
    one = cell("denoising(huber)", "jfb(2)")
    problem = build_problem(one.task, images, profile.images.layout(), 0)

    @contextmanager
    def looked(device):
        seen.extend(parameter.grad for parameter in parameters(problem))
        with peak_bytes(device) as peak:
            yield peak

    monkeypatch.setattr(module, "peak_bytes", looked)
    values = module.gradient_quality(one, problem, profile, images, None)
    assert seen == [None] * len(parameters(problem))
    assert values["peak_bytes"] > 0
    assert values["peak_requested_bytes"] is None
    assert all(parameter.grad is not None for parameter in parameters(problem))


def test_a_cell_asks_for_its_reference_on_its_own_device(tiny_file, monkeypatch):
    from bench.measurement import gradient_draws as module

    asked = []
    monkeypatch.setattr(module, "cached_reference", lambda *given: asked.append(given) or "none today")
    values = measure(cell("denoising(huber)", "jfb(2)"), tiny(tiny_file, steps=0), find_images(), CPU).values
    assert values["oracle"] == "none today"
    assert [given[-1] for given in asked] == [CPU]


def test_a_look_is_at_the_solvers_own_reconstruction(tiny_file):
    values = measure(
        cell("inpainting(huber)", "restarted_jfb(2, 3)"), tiny(tiny_file, eval_every=2), find_images(), CPU
    ).values
    assert values["look_steps"] == [2, 3]
    assert values["look_work"] == [20, 30]
    mean = sum(values["psnr_trained"]) / len(values["psnr_trained"])
    assert values["look_psnr"][-1] == pytest.approx(mean, abs=1e-4)  # float32
    assert abs(values["look_psnr"][0] - mean) > 1e-3


def test_work_counts_shares_and_what_was_made_again():
    done = Solution(
        torch.zeros(1),
        SolveReport(10, active_fraction=0.5),
        3,
        [SolveReport(8, active_fraction=0.25), SolveReport(1)],
        [0.25, 0.5],
    )
    assert done.evaluations == 10 * 0.5 + 3 + 0.75
    assert done.products == 3 + 8 * 0.25 + 1
    assert done.work == done.evaluations + done.products
    assert (done.applications, done.vjps) == (10 + 3 + 2, 3 + 8 + 1)


def test_residuals_are_a_number_a_sample():
    x = torch.tensor([[1.0, 0.0], [0.0, 0.0], [float("nan"), 1.0]], dtype=torch.float64)
    assert residuals(lambda x: 2 * x, x).tolist() == [0.5, 0.0, float("inf")]


def test_a_cell_repeats_itself(tiny_file):
    profile, images = tiny(tiny_file), find_images()
    one, two = (measure(cell("denoising(huber)", "deq(1e-08)"), profile, images, CPU) for _ in range(2))
    assert one.values == two.values


def test_training_lowers_the_loss(tiny_file):
    profile, images = tiny(tiny_file, steps=40, batch=2), find_images()
    losses = measure(cell("denoising(huber)", "deq(1e-06)"), profile, images, CPU).values["losses"]
    assert losses[-1] < 0.8 * losses[0]


def test_a_divergence_is_a_row(tiny_file):
    """A step beyond 2/‖A‖²: the iteration leaves the range of images."""
    broken = replace(
        cell("denoising(huber)", "unrolled(40)"), task=replace(parse_task("denoising(huber)"), step=4.0)
    )
    found = measure(broken, tiny(tiny_file), find_images(), CPU)
    assert found.status == "diverged"
    assert "times the peak" in found.reason
    assert found.values["contraction"] > 1


def test_a_nan_is_a_row_that_keeps_what_was_measured(tiny_file):
    broken = replace(parse_task("denoising(huber)"), noise=(float("nan"),))
    found = measure(
        replace(cell("denoising(huber)", "deq"), task=broken), tiny(tiny_file), find_images(), CPU
    )
    assert found.status == "nan"
    assert found.reason
    assert 0 < found.values["contraction"] < 1


def test_where_there_is_no_reference_the_row_says_so(tiny_file, monkeypatch):
    from bench.measurement import reference_cache as module
    from bench.measurement.hypergradient import NoReference

    def none(*_):
        raise NoReference("the equilibrium is known to 1e-3 only")

    module._computed.cache_clear()
    monkeypatch.setattr(module, "reference_gradient", none)
    found = measure(cell("inpainting(l1)", "unrolled(1)"), tiny(tiny_file), find_images(), CPU)
    module._computed.cache_clear()
    assert found.status == "ok"
    assert found.values["oracle"] == "the equilibrium is known to 1e-3 only"
    assert found.values["hypergradient_error"] != found.values["hypergradient_error"]


def test_float32_is_what_it_computes_in(tiny_file):
    profile = tiny(tiny_file).model_copy(update={"dtype": "float32"})
    found = measure(cell("deblurring(huber)", "deq(1e-06)"), profile, find_images(), CPU)
    assert found.status == "ok"
    assert 1e-8 < found.values["hypergradient_error"] < 1e-2
