"""Tasks on real crops: physics, noise, spectra, and what a seed means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

import bench.tasks
from bench.config.matrix import parse_task, refusal
from bench.measurement.hypergradient import reference_gradient
from bench.measurement.training import parameters, training_step
from bench.operators import ForwardBackward
from bench.spectra.lanczos import largest_ritz
from bench.tasks import ROSTER, build_problem, loss
from bench.tasks.deblurring import GaussianBlur, MotionBlur
from bench.tasks.images import Layout, find_images
from bench.utils.errors import UserError
from solvers import FixedSteps, deq, jfb, neumann, restarted_jfb, unrolled
from solvers.conformance import relative_error
from tests.helpers.energy import energy as penalty_energy
from tests.helpers.slopes import slope_of_solved_loss
from tests.helpers.tensors import F64

LAYOUT = Layout(32, 2, 2)
TEXTS = (
    "denoising(huber)",
    "denoising_colour(l1)",
    "deblurring(huber)",
    "deblurring_colour(huber, noise=0.1)",
    "inpainting(huber)",
    "inpainting(l1, lost=0.1)",
    "inpainting_colour(huber)",
    "mri(colours(0.01, 0.02))",
    "mri_coils(huber, coils=3)",
    "tomography(huber, angles=12)",
    "super_resolution(huber)",
    "super_resolution(huber, factor=4)",
    "demosaicing(huber)",
    "poisson(huber)",
)


def build(text, seed=0, dtype=F64, layout=LAYOUT):
    task = parse_task(text)
    return build_problem(task, find_images(colour=task.channels == 3), layout, seed, dtype=dtype)


@pytest.mark.parametrize("text", TEXTS)
def test_a_seed_is_the_same_problem_in_both_precisions(text):
    wide, narrow = build(text), build(text, dtype=torch.float32)
    for name in ("truth", "y", "x0"):
        a, b = getattr(wide.train, name), getattr(narrow.train, name)
        assert b.dtype == torch.float32
        torch.testing.assert_close(b.double(), a, rtol=0, atol=2e-6)


@pytest.mark.parametrize("text", TEXTS)
def test_another_seed_is_another_problem_on_the_same_test_images(text):
    a, b = build(text), build(text, seed=1)
    assert not torch.equal(a.train.truth, b.train.truth)
    assert not torch.equal(a.test.y, b.test.y)
    assert torch.equal(a.test.truth, b.test.truth)


@pytest.mark.parametrize("text", TEXTS)
def test_the_adjoint_is_the_adjoint(text):
    problem = build(text)
    A = problem.physics
    x, y = torch.randn_like(problem.train.truth), torch.randn_like(problem.train.y)
    torch.testing.assert_close((A.A(x) * y).sum(), (x * A.A_adjoint(y)).sum(), rtol=1e-11, atol=1e-12)


def direct_convolution(kernel, x):
    """Circular convolution by shifts, the centre of the kernel at its middle."""
    out = torch.zeros_like(x)
    height, width = kernel.shape
    for i in range(height):
        for j in range(width):
            out += kernel[i, j] * x.roll((i - height // 2, j - width // 2), (-2, -1))
    return out


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_the_motion_blur_is_a_convolution(channel):
    """In float64 from the start: deepinv's ``BlurFFT(...).to(float64)`` would drop the phase of its spectrum."""
    blur = MotionBlur(25)((3, 64, 64), torch.Generator(), F64, torch.device("cpu"))
    x = torch.randn(1, 3, 64, 64, dtype=F64)
    n = 25
    kernel = torch.zeros(n, n, dtype=F64)
    if channel == 0:
        kernel[n // 2, :] = 1 / n
    elif channel == 1:
        kernel[:, n // 2] = 1 / n
    else:
        kernel.fill_diagonal_(1 / n)
    torch.testing.assert_close(
        blur.A(x)[:, channel], direct_convolution(kernel, x[:, channel]), rtol=0, atol=1e-13
    )


def test_the_gaussian_blur_keeps_grey_and_spreads_a_point():
    blur = GaussianBlur(1.5)((1, 32, 32), torch.Generator(), F64, torch.device("cpu"))
    torch.testing.assert_close(
        blur.A(torch.ones(1, 1, 32, 32, dtype=F64)), torch.ones(1, 1, 32, 32, dtype=F64), rtol=1e-6, atol=0
    )
    point = torch.zeros(1, 1, 32, 32, dtype=F64)
    point[..., 16, 16] = 1
    image = blur.A(point)[0, 0]
    squares = (torch.arange(32, dtype=F64) - 16).square()
    spread = (image.sum(1) * squares).sum() / image.sum()
    assert spread.sqrt().item() == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize("text", TEXTS)
def test_the_spectrum_is_tight(text):
    """Largest eigenvalue by Lanczos' iteration, and the Lipschitz constant holds on random pairs."""
    problem = build(text)
    A = problem.physics
    found = largest_ritz(lambda x: A.A_adjoint(A.A(x)), (1, *problem.train.truth.shape[1:]), 60).value
    assert found * (1 - 1e-12) <= problem.spectrum.largest <= found * (1 + 1e-4)
    with torch.no_grad():
        T = problem.bind(problem.train)
        for scale in (1e-3, 1.0):
            a = problem.train.x0
            b = a + scale * torch.randn_like(a)
            ratio = (T(a) - T(b)).norm() / (a - b).norm()
            assert ratio <= problem.contraction * (1 + 1e-12)


@pytest.mark.parametrize("text", [t for t in TEXTS if "huber" in t])
def test_a_huber_task_contracts(text):
    assert build(text).contraction < 1


def test_noise_is_as_stated_in_each_channel():
    problem = build("denoising_colour(l1)", layout=Layout(128, 4, 1))
    noise = (problem.train.y - problem.train.truth).std(dim=(0, 2, 3))
    torch.testing.assert_close(noise, torch.tensor([0.1, 0.25, 0.5], dtype=F64), rtol=0.03, atol=0)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_lost_pixels_are_lost_in_every_channel(share):
    problem = build(f"inpainting_colour(l1, lost={share})", layout=Layout(64, 2, 1))
    lost = problem.train.y == 0
    assert torch.equal(lost.all(1), lost.any(1))
    assert lost[:, 0].double().mean().item() == pytest.approx(share, abs=0.03)
    # They start at mid-grey, not at black.
    assert torch.equal(problem.train.x0[lost], torch.full_like(problem.train.x0[lost], 0.5))


def test_with_a_unit_step_denoising_is_separable_and_every_estimator_exact():
    """THEORY C11: T is constant in x, and the derivative is that of soft thresholding."""
    task = replace(parse_task("denoising(l1)"), step=1.0)
    problem = build_problem(task, find_images(), LAYOUT, 0, dtype=F64)
    T, w = problem.bind(problem.train), problem.operator.prior.log_weights
    c = problem.operator.prior.wavelets.analyse(problem.train.y)
    grad = problem.operator.prior.wavelets.analyse(problem.train.y * 0 + 1.0)
    limit = torch.nn.functional.pad(w.detach().exp().flatten(1), (1, 0))[
        :, problem.operator.prior.wavelets.bands
    ]
    shrink = torch.where(c.abs() > limit, -limit * c.sign(), 0.0) * grad
    bands = problem.operator.prior.wavelets.bands
    expected = torch.stack([shrink[:, 0, bands == b].sum() for b in range(1, 10)])
    for solver in (unrolled(1), unrolled(5), jfb(7), restarted_jfb(3, 2), neumann(4, 6), deq(1e-12)):
        problem.operator.zero_grad()
        solver(T, problem.train.x0).x.sum().backward()
        assert w.grad is not None
        assert relative_error(w.grad.flatten(), expected) < 1e-13, solver.label


@pytest.mark.parametrize("text", ["deblurring(huber)", "inpainting(huber)"])
def test_the_step_size_has_no_gradient_at_equilibrium(text):
    """THEORY C20, S11: the fixed point of a forward–backward step does not depend on its length."""
    problem = build(text)
    operator = ForwardBackward(problem.operator.prior, 1.0, learn_step=True)
    batch = problem.train

    def T(x):
        return operator(x, batch.y, problem.physics)

    with torch.no_grad():
        star = deq(1e-14, 2000).forward_solver(T, batch.x0).x
    for solver in (jfb(0), neumann(0, 20), restarted_jfb(20, 0), deq(1e-12, 2000)):
        operator.zero_grad()
        loss(solver(T, star).x, batch.truth).backward()
        weights = operator.prior.log_weights.grad.norm()
        assert operator.log_step.grad.abs() < 1e-8 * weights, solver.label
    operator.zero_grad()
    loss(unrolled(5)(T, batch.x0).x, batch.truth).backward()
    assert operator.log_step.grad.abs() > 1e-3 * operator.prior.log_weights.grad.norm()


def test_the_equilibrium_minimises_the_energy():
    problem = build("deblurring(huber)")
    batch = problem.train

    def energy(x):
        data = 0.5 * (problem.physics.A(x) - batch.y).square().flatten(1).sum(1)
        return data + penalty_energy(problem.operator.prior, x)

    with torch.no_grad():
        star = deq(1e-13, 3000).forward_solver(problem.bind(batch), batch.x0).x
        for size in (1e-4, 1e-2, 1.0):
            assert (energy(star + size * torch.randn_like(star)) > energy(star)).all()
        for other in (batch.x0, batch.truth, FixedSteps(50)(problem.bind(batch), batch.x0).x):
            assert (energy(other) > energy(star)).all()


def test_small_crops_get_a_clear_error():
    with pytest.raises(UserError, match="too small for 3 levels"):
        build("denoising(huber)", layout=Layout(16, 1, 1))
    with pytest.raises(UserError, match="smaller than the crops of 1024×1024"):
        build("denoising(huber)", layout=Layout(1024, 1, 1))
    with pytest.raises(UserError, match="multiples of 8"):
        build("denoising(huber)", layout=Layout(44, 1, 1))


def test_the_roster_lists_every_task_of_the_folder():
    folder = Path(bench.tasks.__file__).parent
    files = {f.stem for f in folder.glob("*.py") if not f.stem.startswith("_")}
    files -= {"arguments", "base", "image_files", "images", "packaged_images", "slices", "complex_images"}
    files -= {"phantom", "volume_files", "volume_pictures"}
    listed = {name.removesuffix("_colour") for name in ROSTER}
    for name in sorted(files - listed):
        pytest.fail(f'bench/tasks/__init__.py lacks the line    "{name}": {name},')
    assert listed <= files
    for name, make in ROSTER.items():
        assert make().label.startswith(name)


PAST = (
    "inpainting(orientations(ridge=0.1, smoothing=0.05))",
    "inpainting_colour(colours(ridge=0.1, smoothing=0.05, coupled=True))",
    "inpainting(union(ridge=0.1, smoothing=0.05))",
    "denoising(dncnn)",
)


@pytest.mark.parametrize("text", PAST)
def test_the_reference_is_the_slope_of_the_solved_problem(text):
    """Central differences of the loss at the equilibrium, where θ acts on the state and on the image read off it."""
    problem = build(text)
    batch, learnable = problem.train, parameters(problem)
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in learnable:
            p += 0.3 * torch.randn(p.shape, generator=rng, dtype=F64)
    start = problem.start(batch)
    exact = reference_gradient(
        problem.limit(batch), learnable, start, lambda x: problem.loss(x, batch), budget=5000
    ).gradient
    along = [torch.randn(p.shape, generator=rng, dtype=F64) for p in learnable]

    slope = slope_of_solved_loss(problem, along, 1e-6)
    assert float(exact @ torch.cat([d.flatten() for d in along])) == pytest.approx(slope, rel=1e-4)
    training_step(deq(1e-11, 3000), problem, batch)
    estimate = torch.cat([p.grad.flatten() for p in learnable])
    assert relative_error(estimate, exact) < 1e-6


def test_an_image_that_is_read_off_adds_a_term_to_the_gradient():
    """Without the direct derivative of the image in θ the reference would be another number altogether."""
    problem = build(PAST[1])
    with torch.no_grad():
        problem.operator.prior.coupling += 0.3
    state = problem.start(problem.train)
    (direct,) = torch.autograd.grad(problem.loss(state, problem.train), [problem.operator.prior.coupling])
    assert float(direct.abs().max()) > 1e-6
    assert state.shape == problem.train.truth.shape
    assert build(PAST[2]).start(problem.train.select(torch.arange(1))).shape[1] == 3 * 3


def test_layers_of_their_own_are_for_the_network_of_that_depth():
    task = parse_task("denoising(dncnn(layers=3))")
    assert [
        not refusal(task, solver) for solver in (unrolled(3), unrolled(2), restarted_jfb(3, 1), deq())
    ] == [
        True,
        False,
        False,
        False,
    ]
    assert not any(refusal(parse_task("denoising(dncnn)"), solver) for solver in (unrolled(2), deq()))


def test_a_bound_is_worked_out_when_asked_for():
    """The certificate of a network takes longer than the whole of the rest."""
    with patch.object(ForwardBackward, "contraction", autospec=True, return_value=0.5) as asked:
        problem = build("deblurring(huber)")
        assert not asked.called
        assert problem.contraction == 0.5
        assert asked.call_args.args[1] == problem.spectrum.ends
