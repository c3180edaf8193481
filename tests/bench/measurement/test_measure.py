"""What is measured of a cell, on real crops, and what becomes of one that breaks."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from bench.config.matrix import Cell, load_profile, parse_solver, parse_task
from bench.measurement.equilibrium import LOST, check_stability, find_equilibrium, residuals
from bench.measurement.measure import measure
from bench.measurement.memory import peak_bytes
from bench.measurement.reference_cache import cached_reference
from bench.measurement.training import parameters, training_step
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from solvers import Anderson, Solution, SolveReport, neumann, restarted_jfb
from solvers.conformance import relative_error

CPU = torch.device("cpu")


def cell(task, solver, seed=0):
    return Cell(parse_task(task), parse_solver(solver), seed)


def tiny(tiny_file, **changes):
    profile = load_profile(str(tiny_file))
    return profile.model_copy(update={"training": profile.training.model_copy(update=changes)})


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
        cell("inpainting(huber)", "restarted_jfb(2, 3)"), tiny(tiny_file, look=2), find_images(), CPU
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


def test_the_training_loss_and_the_validation_are_at_the_equilibrium(tiny_file):
    profile = tiny(tiny_file)
    profile = profile.model_copy(update={"images": profile.images.model_copy(update={"validation": 2})})
    images, one = find_images(), cell("deblurring(huber)", "deq(1e-06)")
    values = measure(one, profile, images, CPU).values
    problem = build_problem(one.task, images, profile.images.layout(), 0, dtype=torch.float64)
    weights = problem.operator.get_parameter("prior.log_weights")
    with torch.no_grad():
        weights.copy_(torch.tensor(values["learned"]["prior.log_weights"], dtype=torch.float64))
        for batch in (problem.train, problem.validation):
            assert batch is not None
            x = Anderson(1e-11, 3000)(problem.limit(batch), problem.start(batch)).x
            if batch is problem.train:
                assert values["training_loss_equilibrium"] == pytest.approx(
                    float(problem.loss(x, batch)), rel=1e-3
                )
            else:
                psnr = -10 * (x.clamp(0, 1) - batch.truth).square().mean((1, 2, 3)).log10()
                assert values["psnr_validation_equilibrium"] == pytest.approx(psnr.tolist(), abs=0.01)
    assert values["training_equilibrium_converged"]
    assert values["validation_equilibrium_converged"]


@pytest.mark.misuse(
    "an equilibrium that plain iteration leaves",
    "right: recorded as not staying, with where plain iteration ends",
)
def test_plain_iteration_leaves_an_unstable_equilibrium(tiny_file):
    """x + 0.3 (x - x³) has the unstable equilibrium 0 between the stable ones -1 and 1."""
    table = tiny(tiny_file).equilibrium.model_copy(update={"tol": 1e-6, "budget": 200})

    def T(x):
        return x + 0.3 * (x - x**3)

    def score(x):
        return float(20 + 10 * x.abs().mean())

    for at, stays in ((1e-9, False), (1.0, True)):
        start = torch.full((2, 1, 4, 4), at, dtype=torch.float64)
        found = replace(find_equilibrium(T, start, table), state=start)
        seen = check_stability(T, found, score, table)
        assert seen.stays is stays
        assert seen.score == pytest.approx(30, abs=1e-6)
        assert seen.residual <= LOST * table.tol
    wild = check_stability(lambda x: 3 * x, found, score, table)
    assert not wild.stays
    assert wild.residual == float("inf")


def test_a_panel_says_whether_its_own_image_has_settled(tiny_file):
    profile = tiny(tiny_file)
    values = measure(cell("inpainting(huber)", "unrolled(4)"), profile, find_images(), CPU).values
    assert values["panel_equilibrium_converged"]
    assert values["panel_equilibrium_residual"] <= profile.equilibrium.tol
    short = profile.equilibrium.model_copy(update={"budget": 1, "longest": 4})
    values = measure(
        cell("inpainting(huber)", "unrolled(4)"),
        profile.model_copy(update={"equilibrium": short}),
        find_images(),
        CPU,
    ).values
    assert not values["panel_equilibrium_converged"]
    assert not values["equilibrium_converged"]


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


def test_where_anderson_finds_nothing_plain_iteration_may(tiny_file):
    profile = tiny(tiny_file)
    one = cell("inpainting(huber)", "unrolled(4)")
    whole = measure(one, profile, find_images(), CPU).values
    assert whole["equilibrium_by"] == "Anderson acceleration"
    assert whole["equilibrium_residual"] <= profile.equilibrium.tol
    short = profile.equilibrium.model_copy(update={"budget": 2})
    cut = measure(one, profile.model_copy(update={"equilibrium": short}), find_images(), CPU).values
    assert cut["equilibrium_by"] == "plain iteration"
    assert cut["equilibrium_converged"] == (cut["equilibrium_residual"] <= profile.equilibrium.tol)
    assert (
        cut["equilibrium_residual"] < 1e-3
    )  # the largest of the images; that of the path is of all together
    assert cut["equilibrium_residual"] == pytest.approx(cut["past_residuals"][-1], rel=1)
    assert cut["psnr_equilibrium"] == pytest.approx(whole["psnr_equilibrium"], abs=0.01)
    nothing = profile.equilibrium.model_copy(update={"budget": 2, "longest": 1})
    lost = measure(one, profile.model_copy(update={"equilibrium": nothing}), find_images(), CPU).values
    assert (lost["equilibrium_by"], lost["past_depths"]) == ("Anderson acceleration", [])


def test_cells_share_a_reference_and_a_broken_one_is_made_again(tmp_path, monkeypatch):
    from bench.measurement import reference_cache as module

    images, layout, one = find_images(), Layout(32, 2, 1), cell("denoising(huber)", "jfb(1)").task
    made = module.cached_reference(one, images, layout, 1, 0, 3000, tmp_path)
    module._computed.cache_clear()
    monkeypatch.setattr(module, "reference_gradient", lambda *_: pytest.fail("computed again"))
    again = module.cached_reference(one, images, layout, 1, 0, 3000, tmp_path)
    assert torch.equal(again.gradient, made.gradient)
    assert (again.residual, again.adjoint_residual) == (made.residual, made.adjoint_residual)
    monkeypatch.undo()
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    assert torch.equal(
        module.cached_reference(one, images, layout, 1, 0, 3000, tmp_path).gradient, made.gradient
    )
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
