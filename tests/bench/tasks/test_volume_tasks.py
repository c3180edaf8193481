"""Tasks of volumes: gradients, certificates, every solver, pictures, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from deepinv.loss.metric import SSIM

from bench.config.lookup import parse_solver, parse_task
from bench.measurement.hypergradient import reference_gradient
from bench.measurement.measure import _pixels, _ssim
from bench.measurement.training import parameters, training_step
from bench.operators import primal_dual
from bench.penalties import tv
from bench.spectra import Basis
from bench.studies.certificates import trials as study
from bench.tasks.mri_volume import encoding_mask
from bench.tasks.volume_pictures import middle_slices
from bench.utils.errors import UserError
from solvers import Anderson, deq
from solvers.conformance import relative_error
from tests.emulated.cases import PEERS, SOLVERS
from tests.helpers.problems import packaged_images
from tests.helpers.slopes import slope_of_solved_loss
from tests.helpers.tensors import F64
from tests.helpers.volumes import BLUR, MRI, TASKS, volume_problem


def exact_of(problem):
    batch = problem.train
    return reference_gradient(
        problem.limit(batch),
        parameters(problem),
        problem.start(batch),
        lambda x: problem.loss(x, batch),
        budget=20000,
    ).gradient


def gradient(solver, problem):
    training_step(solver, problem, problem.train)
    return torch.cat([p.grad.flatten() for p in parameters(problem)])


@pytest.mark.parametrize("name", TASKS)
def test_the_reference_is_the_slope_of_the_solved_problem(name):
    problem = volume_problem(TASKS[name])
    exact = exact_of(problem)
    rng = torch.Generator().manual_seed(3)
    along = [torch.randn(p.shape, generator=rng, dtype=F64) for p in parameters(problem)]
    slope = slope_of_solved_loss(problem, along)
    assert float(exact @ torch.cat([d.flatten() for d in along])) == pytest.approx(slope, rel=1e-4)
    assert relative_error(gradient(deq(1e-11, 20000), problem), exact) < 1e-6


@pytest.mark.parametrize("text", [*SOLVERS, *PEERS])
def test_every_solver_takes_volumes(text):
    problem = volume_problem(TASKS["blur by peaceman_rachford"] if "prox_cg" not in text else BLUR, train=2)
    found = gradient(parse_solver(text), problem)
    assert bool(found.isfinite().all())
    assert float(found.norm()) > 0


def test_the_gradient_of_a_batch_is_the_mean_of_those_of_its_volumes():
    problem = volume_problem(BLUR, train=2)
    both = exact_of(problem)
    parts = []
    for index in (0, 1):
        one = replace(problem, train=problem.train.select(torch.tensor([index])))
        parts.append(exact_of(one))
    torch.testing.assert_close(both, (parts[0] + parts[1]) / 2, rtol=0, atol=1e-9 * float(both.norm()))


@pytest.mark.parametrize("name", ["blur", "motion", "mri", "blur by peaceman_rachford"])
def test_no_certificate_is_below_the_error(name, monkeypatch):
    """A few of the trials; 60 of each task were made once (docs/memory.md)."""
    monkeypatch.setattr(study, "SIDES", (16,))
    solvers = [parse_solver("jfb(20)"), parse_solver("restarted_jfb(5, 2)")]
    found = list(study.trials("rigorous", TASKS[name], packaged_images(), solvers, range(1)))
    assert len(found) == 4
    for trial in found:
        assert trial.status == "ok"
        assert trial.rigorous
        assert trial.least <= trial.error <= trial.bound


@pytest.mark.parametrize("kind", ["blur", "mri"])
def test_splittings_have_the_equilibrium_of_forward_backward(kind):
    images = []
    for name in (kind, f"{kind} by peaceman_rachford"):
        problem = volume_problem(TASKS[name])
        batch = problem.train
        with torch.no_grad():
            state = Anderson(1e-13, 5000)(problem.bind(batch), problem.start(batch)).x
            images.append(problem.image_of(batch)(state))
        assert problem.spectrum.basis is Basis.EXACT
        assert problem.contraction < 1
    torch.testing.assert_close(images[0], images[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("acceleration", [1.0, 2.0, 4.0, 8.0])
def test_a_mask_measures_its_share_and_the_middle(acceleration):
    mask = encoding_mask((2, 6, 40, 30), acceleration, torch.Generator().manual_seed(0))
    assert mask.shape == (1, 2, 6, 40, 30)
    assert float(mask.mean()) == pytest.approx(1 / acceleration, abs=1 / 1200)
    assert torch.equal(mask[:, :, :1].expand_as(mask), mask)
    assert bool((mask[..., 16:24, 12:18] == 1).all())


def test_what_is_not_measured_has_no_noise():
    problem = volume_problem(MRI)
    y, mask = problem.train.y, problem.physics.mask
    assert bool((y[(mask == 0).expand_as(y)] == 0).all())
    assert float(y.abs().max()) > 0


def test_pictures_are_the_middle_slices_side_by_side():
    volume = torch.rand(1, 4, 6, 8, dtype=F64)
    found = middle_slices(volume)
    assert found.shape == (1, 6, 8 + 8 + 6)
    assert torch.equal(found[:, :, :8], volume[:, 2])
    assert torch.equal(found[:, :4, 8:16], volume[:, :, 3])
    assert torch.equal(found[:, :4, 16:], volume[:, :, :, 4])
    assert not found[:, 4:, 8:].any()
    assert _pixels(volume).shape == found.shape


def test_similarity_is_the_mean_over_slices_across_the_first_axis():
    image, truth = torch.rand(2, 2, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    slices = torch.stack([SSIM()(image[:, :, k], truth[:, :, k]).flatten() for k in range(3)])
    torch.testing.assert_close(_ssim(image, truth), slices.mean(0))


@pytest.mark.misuse("a denoiser or a penalty of images on volumes", "refused: … takes images and no volumes")
@pytest.mark.parametrize("prior", ["drunet", "dncnn", "crr", "icnn", "tgv", "filters", "tv(weight_map=4)"])
def test_priors_of_images_are_refused_in_one_line(prior):
    task = parse_task(f"deblurring_volume({prior})")
    if prior.startswith(("t", "filters")):
        task = replace(task, splitting=primal_dual())
    with pytest.raises(UserError, match="takes images and no volumes") as caught:
        volume_problem(task, 32)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deblurring_volume(motion=0)", "motion must be a whole number"),
        ("deblurring_volume(blur=11)", "blur must lie in"),
        ("mri_volume(acceleration=0)", "acceleration must lie in"),
    ],
)
def test_numbers_out_of_range_get_one_clear_line(text, message):
    with pytest.raises(UserError, match=message):
        parse_task(text)


def test_a_kernel_larger_than_a_volume_gets_one_clear_line():
    task = replace(parse_task("deblurring_volume(tv, blur=3)"), splitting=primal_dual())
    with pytest.raises(UserError, match="volumes of 16×16×16 are smaller than the blur kernel of 19×19×19"):
        volume_problem(task)


def test_total_variation_takes_sides_that_wavelets_do_not():
    task = replace(parse_task("deblurring_volume(tv)"), splitting=primal_dual())
    problem = volume_problem(task, 13)
    assert problem.start(problem.train).shape == (1, 4, 13, 13, 13)
    assert float(problem.operator.penalty.norm_squared()) < 12
    assert isinstance(tv(), type(task.prior))
