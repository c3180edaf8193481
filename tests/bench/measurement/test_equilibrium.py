"""Equilibria of trained operators: found, left by plain iteration, not settled."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.measurement.equilibrium import LOST, check_stability, find_equilibrium
from bench.measurement.measure import measure
from bench.tasks import build_problem
from bench.tasks.images import find_images
from solvers import Anderson
from tests.bench.measurement.conftest import tiny
from tests.helpers.tiny_cells import CPU, cell


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
    short = profile.equilibrium.model_copy(update={"budget": 1, "max_applications": 4})
    values = measure(
        cell("inpainting(huber)", "unrolled(4)"),
        profile.model_copy(update={"equilibrium": short}),
        find_images(),
        CPU,
    ).values
    assert not values["panel_equilibrium_converged"]
    assert not values["equilibrium_converged"]


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
    nothing = profile.equilibrium.model_copy(update={"budget": 2, "max_applications": 1})
    lost = measure(one, profile.model_copy(update={"equilibrium": nothing}), find_images(), CPU).values
    assert (lost["equilibrium_by"], lost["past_depths"]) == ("Anderson acceleration", [])
