"""Tasks of other measurements: gradients, certificates, splittings, pictures, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from deepinv.physics import LinearPhysics, Tomography

from bench.config.lookup import parse_solver, parse_task
from bench.measurement.hypergradient import reference_gradient
from bench.measurement.memory import saved_bytes
from bench.measurement.reference_cache import cached_reference
from bench.measurement.training import parameters, training_step
from bench.operators import douglas_rachford, peaceman_rachford, primal_dual
from bench.penalties import huber
from bench.spectra import Basis
from bench.studies.certificates.trials import trials
from bench.tasks import Task, build_problem, shown
from bench.tasks.complex_images import with_phase
from bench.tasks.images import Layout, find_images
from bench.tasks.mri import cartesian_mask
from bench.utils.errors import UserError
from solvers import Anderson, certified, deq
from solvers.conformance import relative_error
from tests.helpers.slopes import slope_of_solved_loss
from tests.helpers.tensors import F64

TEXTS = (
    "mri",
    "mri_coils",
    "tomography(angles=12)",
    "super_resolution",
    "super_resolution(factor=4)",
    "demosaicing",
    "poisson",
)


def build(text, dtype=F64, layout=Layout(32, 2, 1)):
    task = parse_task(text) if isinstance(text, str) else text
    return build_problem(task, find_images(colour=task.channels == 3), layout, 0, dtype=dtype)


@pytest.mark.parametrize("text", TEXTS)
def test_the_reference_is_the_slope_of_the_solved_problem(text):
    problem = build(text)
    batch, learnable, start = problem.train, parameters(problem), problem.start(problem.train)
    exact = reference_gradient(
        problem.limit(batch), learnable, start, lambda x: problem.loss(x, batch), budget=5000
    ).gradient
    rng = torch.Generator().manual_seed(3)
    along = [torch.randn(p.shape, generator=rng, dtype=F64) for p in learnable]

    slope = slope_of_solved_loss(problem, along)
    assert float(exact @ torch.cat([d.flatten() for d in along])) == pytest.approx(slope, rel=1e-4)
    training_step(deq(1e-11, 3000), problem, batch)
    estimate = torch.cat([p.grad.flatten() for p in learnable])
    assert relative_error(estimate, exact) < 1e-6


@pytest.mark.parametrize("text", TEXTS)
def test_no_certificate_is_below_the_error(text):
    """A few of the trials; 60 of each task were made once (docs/physics.md)."""
    task = parse_task(text)
    solvers = [parse_solver("jfb(20)"), parse_solver("restarted_jfb(5, 2)")]
    found = list(trials("rigorous", task, find_images(colour=task.channels == 3), solvers, range(2)))
    assert len(found) == 8
    for trial in found:
        assert trial.status == "ok"
        assert trial.rigorous
        assert trial.least <= trial.error <= trial.bound


@pytest.mark.parametrize("text", ["mri_coils", "tomography(angles=12)"])
def test_float32_has_rigorous_bounds_too(text):
    problem = build(text, torch.float32)
    regularity = problem.bind(problem.train).regularity()
    assert regularity is not None
    assert regularity.rigorous
    assert regularity.L < 1
    x = problem.start(problem.train)
    with torch.no_grad():
        own = problem.bind(problem.train)(x).double()
        double = regularity.float64[0].iterate(x.double(), regularity.float64[2])
    assert float((own - double).norm()) <= regularity.rounding(x)


@pytest.mark.parametrize("text", ["mri_coils(huber)", "tomography(huber, angles=12)", "poisson(huber)"])
def test_splittings_that_need_the_prox_of_the_data_term_are_refused(text):
    task = replace(parse_task(text), splitting=douglas_rachford())
    with pytest.raises(UserError, match="has none: choose forward_backward or primal_dual") as caught:
        build(task)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["mri(huber)", "super_resolution(huber)", "demosaicing(huber)"])
def test_splittings_have_the_equilibrium_of_forward_backward(text):
    plain = build(text)
    split = build(replace(parse_task(text), splitting=peaceman_rachford()))
    with torch.no_grad():
        images = []
        for problem in (plain, split):
            batch = problem.train
            state = Anderson(1e-13, 5000)(problem.bind(batch), problem.start(batch)).x
            images.append(problem.image_of(batch)(state))
    torch.testing.assert_close(images[0], images[1], rtol=0, atol=1e-9)
    assert split.contraction < 1


@pytest.mark.parametrize("text", ["mri(tv)", "tomography(tv, angles=12)", "poisson(tv)"])
def test_total_variation_takes_them_by_a_primal_dual_operator(text):
    problem = build(replace(parse_task(text), splitting=primal_dual()))
    with torch.no_grad():
        found = Anderson(1e-6, 3000)(problem.bind(problem.train), problem.start(problem.train))
    assert found.report.converged
    assert problem.image_of(problem.train)(found.x).shape == problem.train.truth.shape


@pytest.mark.parametrize("text", ["mri_coils", "poisson"])
def test_the_reference_of_a_run_falls_back_to_forward_backward(text):
    """It is computed by Peaceman–Rachford elsewhere, which needs the prox of the data term."""
    found = cached_reference(parse_task(text), find_images(), Layout(32, 2, 1), 1, 0)
    assert not isinstance(found, str)
    assert float(found.gradient.norm()) > 0


def test_measurements_have_shapes_of_their_own():
    shapes = {text: tuple(build(text).train.y.shape[1:]) for text in TEXTS}
    assert shapes == {
        "mri": (2, 32, 32),
        "mri_coils": (2, 4, 32, 32),
        "tomography(angles=12)": (1, 46, 12),
        "super_resolution": (1, 16, 16),
        "super_resolution(factor=4)": (1, 8, 8),
        "demosaicing": (3, 32, 32),
        "poisson": (1, 32, 32),
    }
    for text in TEXTS:
        batch = build(text).train
        assert batch.picture().shape == batch.truth.shape


def test_a_complex_image_is_shown_by_its_magnitude():
    grey = torch.rand(2, 1, 16, 16, dtype=F64)
    complex_image = with_phase(grey)
    assert complex_image.shape == (2, 2, 16, 16)
    assert float(complex_image.min()) >= 0
    assert float(complex_image.max()) <= 1
    torch.testing.assert_close(shown(complex_image), grey, rtol=0, atol=1e-15)
    assert shown(grey) is grey


@pytest.mark.parametrize("acceleration", [1.0, 2.0, 4.0, 8.0])
def test_a_mask_measures_its_share_and_the_middle(acceleration):
    mask = cartesian_mask((2, 64, 64), acceleration, torch.Generator().manual_seed(0))
    assert float(mask.mean()) == pytest.approx(1 / acceleration, abs=0.5 / 64)
    assert torch.equal(mask[:, :, :1].expand_as(mask), mask)
    assert bool((mask[..., 30:34] == 1).all())


def test_what_is_not_measured_has_no_noise():
    for text in ("mri", "mri_coils"):
        problem = build(text)
        y, mask = problem.train.y, problem.physics.mask
        outside = (mask if text == "mri" else mask[:, :, None]) == 0
        assert bool((y[outside.expand_as(y)] == 0).all())
        assert float(y.abs().max()) > 0


class OwnPhysics:
    """A user's physics: a turn and a factor; its adjoint may be wrong."""

    def __init__(self, factor=1.0, adjoint=1.0):
        self.factor, self.adjoint = factor, adjoint

    def __call__(self, shape, rng, dtype, device):
        return LinearPhysics(
            A=lambda x, **_: self.factor * x.roll(1, -1),
            A_adjoint=lambda y, **_: self.adjoint * self.factor * y.roll(-1, -1),
        )


def test_a_physics_of_ones_own_has_an_estimate_and_no_contraction():
    problem = build(Task("own", OwnPhysics(3.0), (0.05,), huber(), None))
    assert problem.spectrum.basis is Basis.ESTIMATE
    assert problem.spectrum.largest == pytest.approx(9)
    assert problem.contraction != problem.contraction, "an L that nobody proved"
    with torch.no_grad():
        found = Anderson(1e-8, 2000)(problem.bind(problem.train), problem.start(problem.train))
    assert found.report.converged


def test_a_wrong_adjoint_ends_the_build():
    with pytest.raises(UserError, match="is not the adjoint of A"):
        build(Task("own", OwnPhysics(1.0, 0.5), (0.05,), huber(), 1.0))
    with pytest.raises(UserError, match="makes 0 of every image"):
        build(Task("own", OwnPhysics(0.0), (0.05,), huber(), None))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("super_resolution(factor=3)", "factor must be 2 or 4"),
        ("tomography(angles=0)", "angles must be a whole number"),
        ("mri(acceleration=0)", "acceleration must lie in"),
        ("mri_coils(coils=0)", "coils must be a whole number"),
        ("poisson(photons=-1)", "photons must lie in"),
        ("demosaicing(noise=2)", "noise must lie in"),
    ],
)
def test_numbers_out_of_range_get_one_clear_line(text, message):
    with pytest.raises(UserError, match=message):
        parse_task(text)


@pytest.mark.misuse("a task of complex images with grey ones", "refused: … takes images of 2 channels")
def test_a_measurement_of_other_channels_gets_one_clear_line():
    physics = parse_task("mri").physics
    with pytest.raises(UserError, match="takes images of 2 channels, the real and the imaginary part, not 1"):
        physics((1, 32, 32), torch.Generator(), F64, torch.device("cpu"))
    with pytest.raises(UserError, match="takes colour images, of 3 channels, not 1"):
        parse_task("demosaicing").physics((1, 32, 32), torch.Generator(), F64, torch.device("cpu"))
    with pytest.raises(UserError, match="square images"):
        parse_task("tomography").physics((1, 32, 40), torch.Generator(), F64, torch.device("cpu"))
    with pytest.raises(UserError, match="cannot be reduced by 4"):
        parse_task("super_resolution(factor=4)").physics(
            (1, 30, 32), torch.Generator(), F64, torch.device("cpu")
        )


def test_projections_are_scaled_by_a_bound_and_not_by_an_estimate():
    """deepinv's own normalisation leaves ``‖A‖`` above 1."""
    physics = parse_task("tomography(angles=12)").physics(
        (1, 32, 32), torch.Generator(), F64, torch.device("cpu")
    )
    x = torch.ones(1, 1, 32, 32, dtype=F64)
    for _ in range(30):
        x = physics.A_adjoint(physics.A(x))
        x = x / x.norm()
    assert float(physics.A(x).norm()) <= 1
    theirs = Tomography(angles=12, img_width=32, normalize=True)
    assert float(theirs.A(x.float()).norm()) > 1 - 1e-4


def test_certified_measures_its_tape_on_projections():
    problem = build("tomography(huber, angles=12)")
    batch = problem.train
    T, start, loss = problem.bind(batch), problem.start(batch), problem.criterion(batch)
    with saved_bytes([]) as tape:
        loss(certified(0.5)(T, start, loss).x).backward()
    assert tape.count > 0
