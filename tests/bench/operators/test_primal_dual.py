"""Primal–dual iterations: what they minimise, their gradients, and their factor in the weighted norm; float64."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace

import pytest
import torch
from deepinv.models import TVDenoiser
from deepinv.physics import Blur, BlurFFT, Denoising, Inpainting
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.config.call_syntax import parse_call
from bench.config.lookup import parse_task
from bench.measurement.hypergradient import reference_gradient
from bench.measurement.implicit_gradient import find_fixed_point
from bench.operators import SPLITTINGS, chambolle_pock, douglas_rachford, half_quadratic, primal_dual
from bench.operators.plug_and_play import dncnn
from bench.operators.primal_dual_factor import (
    Curvatures,
    best_gradient_sigma,
    best_prox_sigma,
    gradient_factor,
    gradient_slack,
    prox_factor,
)
from bench.operators.splitting import HasFilters
from bench.penalties import LearnedFilters, colours, filters, huber, l1, orientations, tgv, tv, union
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from bench.utils.errors import UserError
from solvers import Anderson, Picard
from tests.helpers.tensors import F64, draw

BOTH = (primal_dual(), chambolle_pock())
either = pytest.mark.parametrize("splitting", BOTH, ids=lambda splitting: splitting.label)
SMOOTH = 0.05, 0.2  # δ and ε
ANALYSES = [
    tv(),
    tv(*SMOOTH, isotropic=False),
    tv(*SMOOTH, colours=True),
    tv(*SMOOTH, weight_map=3),
    tgv(*SMOOTH),
    filters(8, 3, *SMOOTH),
    filters(3, 5, *SMOOTH, weight_map=2),
]
every = pytest.mark.parametrize("prior", ANALYSES, ids=lambda prior: prior.label)


def blur(shape):
    kernel = torch.zeros(1, 1, 3, 3, dtype=F64)
    kernel[0, 0] = torch.tensor([[0.1, 0.5, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.2]], dtype=F64)
    return BlurFFT(img_size=shape, filter=kernel)


def lost(shape):
    return Inpainting(shape, mask=(draw(3, *shape) > 0).to(F64))


def picture(shape, seed=0):
    """A few flat regions, a ramp and a little noise, ``(2, C, H, W)``."""
    rows = torch.linspace(0, 1, shape[1], dtype=F64)[:, None]
    image = (0.2 + 0.4 * (draw(seed, 2, shape[0], 1, shape[2]).cumsum(-1) > 0) + 0.2 * rows).to(F64)
    return image + 0.05 * draw(seed + 1, *image.shape)


def problem(prior, splitting, shape, physics=blur, scatter=0.3, seed=0):
    """A bound operator with scattered parameters, and its start."""
    physics = physics(shape)
    operator = splitting.operator(prior, physics, shape, 1.0, F64, "cpu")
    with torch.no_grad():  # and not by .data, which hides the change from what is cached
        for index, parameter in enumerate(operator.parameters()):
            parameter += scatter * draw(seed + 50 + index, *parameter.shape)
    y = physics.A(picture(shape, seed))
    return operator, operator.bind(y, physics), operator.start(physics.A_adjoint(y))


def solve(T, z, tol=1e-12):
    """By Anderson acceleration, and some plain applications."""
    x, residual = find_fixed_point(T, z, 20_000)
    assert residual <= tol
    with torch.no_grad():
        for _ in range(5):
            x = T(x)
    return x


def huber_of(t, d):
    return torch.where(t > d, t - d / 2, t.square() / (2 * d)) if d else t


def energy(penalty, s, d):
    """The penalty of states s by its formula, with slices and Fourier transforms in place of its own K."""
    name, radii = type(penalty).__name__, penalty.radii()
    if name == "LearnedFilters":
        size, (h, w) = penalty.size, s.shape[2:]
        a = penalty.filters()[:, 0]
        x = torch.fft.fft2(s)[:, :, None]
        centre = [(size // 2, (h, -2)), (size // 2, (w, -1))]
        a = torch.nn.functional.pad(a, (0, w - size, 0, h - size))
        a = a.roll([-c for c, _ in centre], (-2, -1))
        v = torch.fft.ifft2(x * torch.fft.fft2(a).conj()).real
        return (radii * huber_of(v.abs(), d)).sum()
    if name == "TotalVariation":
        v = differences(s)
        square = v.square()
        if radii.shape[0] == 1:
            square = square.sum(1, keepdim=True)
        if radii.shape[1] < s.shape[1]:
            square = square.sum(2, keepdim=True)
        return (radii * huber_of((square + 1e-300).sqrt(), d)).sum()
    n = s.shape[1] // 3
    x, w = s[:, :n], s[:, n:].unflatten(1, (2, n))
    v = differences(x)
    first = torch.stack(
        [
            v[:, 0] - torch.cat((w[:, 0, :, :-1], 0 * w[:, 0, :, -1:]), 2),
            v[:, 1] - torch.cat((w[:, 1, ..., :-1], 0 * w[:, 1, ..., -1:]), 3),
        ],
        1,
    )
    J = torch.zeros(len(s), 2, 2, *x.shape[1:], dtype=F64)
    J[:, :, 0, :, 1:] = w[..., 1:, :] - w[..., :-1, :]
    J[:, :, 1, :, :, 1:] = w[..., 1:] - w[..., :-1]
    E = (J + J.transpose(1, 2)) / 2
    first, second = first.square().sum(1), E.square().sum((1, 2))
    return (radii[0] * huber_of((first + 1e-300).sqrt(), d)).sum() + (
        radii[1] * huber_of((second + 1e-300).sqrt(), d)
    ).sum()


def differences(x):
    v = torch.zeros(len(x), 2, *x.shape[1:], dtype=F64)
    v[:, 0, :, :-1] = x[..., 1:, :] - x[..., :-1, :]
    v[:, 1, ..., :-1] = x[..., 1:] - x[..., :-1]
    return v


def shape_of(prior):
    return (3, 6, 6) if getattr(prior, "colours", False) else (1, 8, 6)


@either
@every
@pytest.mark.parametrize("physics", [blur, lost])
def test_the_fixed_point_minimises_the_energy(prior, splitting, physics):
    operator, T, z = problem(prior, splitting, shape_of(prior), physics)
    s = operator.primal(solve(T, z)).detach().requires_grad_()
    x = operator.image(s)
    ridge = (s - operator.penalty.grey()).square().sum() * prior.ridge / 2
    data = (T.physics.A(x) - T.y).square().sum() / 2
    (slope,) = torch.autograd.grad(data + ridge + energy(operator.penalty, s, prior.smoothing), s)
    assert slope.abs().max() < 1e-9


@either
def test_denoising_by_total_variation_is_deepinvs(splitting):
    """Without smoothing and ridge. Their weight multiplies the sum of norms; ours is ω."""
    prior = replace(tv(), smoothing=0.0, ridge=0.0)
    operator, T, z = problem(prior, splitting, (1, 8, 8), lambda shape: Denoising(), scatter=0)
    operator.penalty.log_weights.data.fill_(math.log(0.1))
    ours = operator.image(solve(T, z, tol=1e-10))
    theirs = TVDenoiser(crit=1e-11, n_it_max=20_000)(T.y, ths=0.1)
    assert (ours - T.y).norm() > 0.1 * T.y.norm()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def gradient_at_equilibrium(prior, splitting, shape, physics=blur):
    operator, T, z = problem(prior, splitting, shape, physics)
    truth = picture(shape, 5)
    reference = reference_gradient(
        T, list(operator.parameters()), z, lambda state: (T.image(state) - truth).square().mean()
    )
    return reference.gradient, T.image(solve(T, z))


@either
@pytest.mark.parametrize(
    "prior",
    [
        huber(),
        orientations(0.01, 0.02),
        colours(0.02, 0.05),
        union(0.05, 0.05),
        orientations(0.05, 0.1, True),
    ],
    ids=lambda prior: prior.label,
)
def test_image_and_gradient_are_those_of_forward_backward(prior, splitting):
    if prior.coupled and splitting is BOTH[1]:
        return
    prior = replace(prior, wavelet="haar", levels=2, union=("haar", "db2") if prior.union else ())
    shape = (3 if prior.groups.colours else 1, 8, 8)
    expected, image = gradient_at_equilibrium(prior, SPLITTINGS["forward_backward"](), shape)
    found, again = gradient_at_equilibrium(prior, splitting, shape)
    assert (again - image).norm() <= 1e-8 * image.norm()
    assert expected.norm() > 1e-4
    assert (found - expected).norm() <= 1e-9 * expected.norm()


@either
@every
def test_the_gradient_is_that_of_finite_differences(prior, splitting):
    """In all log-weights, maps of them, and the entries of filters, along random directions."""
    shape = shape_of(prior)
    gradient, _ = gradient_at_equilibrium(prior, splitting, shape)
    operator, T, z = problem(prior, splitting, shape)
    truth, h = picture(shape, 5), 1e-5
    parameters = torch.nn.utils.parameters_to_vector(operator.parameters()).detach()
    losses = []
    direction = draw(9, len(parameters))
    for sign in (1, -1):
        torch.nn.utils.vector_to_parameters(parameters + sign * h * direction, operator.parameters())
        losses.append(float((T.image(solve(T, z)) - truth).square().mean()))
    measured = (losses[0] - losses[1]) / (2 * h)
    assert abs(measured) > 1e-6
    assert float(gradient @ direction) == pytest.approx(measured, rel=1e-4)


@either
@pytest.mark.parametrize("prior", [tv(), tgv(), filters(), huber()], ids=lambda prior: prior.label)
def test_an_application_has_exact_derivatives(prior, splitting):
    prior = replace(prior, wavelet="haar", levels=1) if prior == huber() else prior
    operator, T, z = problem(prior, splitting, (1, 4, 4))
    z = z[:1] + 0.1 * draw(1, *z[:1].shape)
    T = T.select(torch.tensor([0]))
    values = list(operator.parameters())
    names = [name for name, _ in operator.named_parameters()]

    def apply(state, *parameters):
        named = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(operator, named, (state, T.y, T.physics), {"data": T.data})

    # ‖K‖ is a constant of the derivatives: filters are differentiated by the test of finite differences.
    inputs = (z.requires_grad_(), *(v for v, n in zip(values, names, strict=True) if "entries" not in n))
    rest = [v.detach() for v, n in zip(values, names, strict=True) if "entries" in n]
    assert torch.autograd.gradcheck(lambda *given: apply(*given, *rest), inputs, check_forward_ad=True)


PROBLEMS = [
    *((prior, physics) for prior in ANALYSES for physics in (blur, lost)),
    (tv(0.1, 0.3), blur),
    (tv(0, 0.3), blur),
    (tv(0.1, 0), lost),
    (replace(huber(), wavelet="haar", levels=1), blur),
    (replace(union(0.05, 0.05), wavelet="haar", levels=1, union=("haar", "db2")), lost),
    (replace(orientations(0.05, 0.1, True), wavelet="haar", levels=1), blur),
]


def spectrum_of(physics, shape):
    values = physics(shape).mask
    values = values[..., 0] if physics is blur and values.ndim == 5 else values
    return float(values.square().min()), float(values.square().max())


def size(operator, z):
    """``‖z‖_P``."""
    return math.sqrt(float((z * operator.metric(z)).sum()))


@either
@pytest.mark.parametrize(
    ("prior", "physics"), PROBLEMS, ids=lambda v: getattr(v, "label", v.__name__ if callable(v) else "")
)
@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), scale=st.sampled_from((1e-3, 0.03, 1.0)))
def test_no_pair_of_states_exceeds_the_factor(prior, physics, splitting, seed, scale):
    if splitting is BOTH[1] and getattr(prior, "coupled", False):
        return
    shape = shape_of(prior)
    operator, T, z = problem(prior, splitting, shape, physics, seed=seed)
    L = operator.metric_factor(spectrum_of(physics, shape))
    assert L <= 1
    with torch.no_grad():
        a = z + scale * draw(seed + 7, *z.shape)
        d = scale * draw(seed + 8, *z.shape)
        for _ in range(15):  # the direction that shrinks least comes forward
            moved = T(a + d) - T(a)
            assert size(operator, moved) <= L * size(operator, d) * (1 + 1e-10)
            d = moved


def dense(operator, T, z):
    """J at z and P, of one sample."""
    n = z.numel()
    J = torch.autograd.functional.jacobian(lambda v: T(v.view(z.shape)).flatten(), z.flatten())
    with torch.no_grad():
        P = torch.stack([operator.metric(e.view(z.shape)).flatten() for e in torch.eye(n, dtype=F64)], 1)
    return J, P


@either
@pytest.mark.parametrize(
    "prior",
    [tv(), tv(0.1, 0.3), tgv(0.1, 0.1), filters(3), replace(huber(), wavelet="haar", levels=1)],
    ids=lambda prior: prior.label,
)
def test_the_factor_is_nearly_attained_and_the_metric_is_what_it_says(prior, splitting):
    """Where no dual is on its ball, and nearly no pixel is measured; in units of 1 − L."""
    shape = (1, 6, 6)

    def hardly(shape):
        mask = torch.zeros(shape, dtype=F64)
        mask[0, 0, 0] = 1
        return Inpainting(shape, mask=mask)

    operator, T, z = problem(prior, splitting, shape, hardly, scatter=0)
    T = T.select(torch.tensor([0]))
    with torch.no_grad():
        z = solve(T, z[:1])
        z[:, operator.penalty.primal_channels :] *= 0
        z[:, : operator.penalty.primal_channels] = operator.penalty.grey()
    J, P = dense(operator, T, z)
    least, *_, largest = torch.linalg.eigvalsh(P).tolist()
    assert torch.equal(P, P.mT) or (P - P.mT).abs().max() < 1e-12 * largest
    assert least > 0
    assert largest / least <= operator.metric_condition() * (1 + 1e-9)
    if prior.label.startswith("tv"):
        assert largest / least >= 0.8 * operator.metric_condition()
    C = torch.linalg.cholesky(P).mT
    measured = float(torch.linalg.matrix_norm(C @ J @ torch.linalg.inv(C), 2))
    L = operator.metric_factor((0.0, 1.0))
    assert measured <= L * (1 + 1e-10)
    assert 1 - measured <= 1.1 * (1 - L)
    inverse = torch.linalg.matrix_norm(torch.linalg.inv(torch.eye(len(J), dtype=F64) - J), 2)
    assert inverse <= math.sqrt(operator.metric_condition()) / (1 - L)


@pytest.mark.parametrize(
    "prior", [*ANALYSES, huber(), orientations(0.05), union(0.05)], ids=lambda prior: prior.label
)
def test_the_modulus_of_the_conjugate_is_that_of_its_prox(prior):
    """``1/(1 + σκ)`` is a bound on its derivative, attained where the largest weight is and no dual is on its ball."""
    if getattr(prior, "wavelet", ""):
        prior = replace(prior, wavelet="haar", levels=1, union=("haar", "db2") if prior.union else ())
    operator, _, z = problem(prior, primal_dual(), shape_of(prior))
    penalty, sigma = operator.penalty, torch.tensor(0.7, dtype=F64)
    u = z[:, penalty.primal_channels :].clone()
    d = draw(1, *u.shape)
    slope = 1 / (1 + 0.7 * penalty.dual_modulus())
    with torch.no_grad():
        for _ in range(300):  # power iteration
            moved = penalty.dual_prox(u + 1e-6 * d / d.norm(), sigma) * 1e6
            assert moved.norm() <= slope * (1 + 1e-9)
            d = moved
    assert d.norm() >= 0.99 * slope


@settings(max_examples=40)
@given(
    least=st.floats(1e-3, 1),
    share=st.floats(1, 1e3),
    dual=st.floats(0.01, 100),
    norm_squared=st.floats(0.1, 100),
    move=st.floats(0.3, 3),
)
def test_no_other_dual_step_has_a_smaller_factor(least, share, dual, norm_squared, move):
    given_ = Curvatures(least, least * share, dual, norm_squared)
    m = gradient_slack(least, least * share)

    def gradient(sigma):
        tau = 1 / (m + sigma * norm_squared)
        return gradient_factor(tau, sigma, given_)

    def prox(sigma):
        tau = 0.9 / (sigma * norm_squared)
        return prox_factor(tau, sigma, given_)

    for L, best in ((gradient, best_gradient_sigma(given_)), (prox, best_prox_sigma(given_, 0.9))):
        assert L(best) <= L(move * best) * (1 + 1e-14)
        assert L(best) < 1


@either
def test_one_application_sees_the_weights(splitting):
    """An estimator that records one application would find the derivative 0 if the image were updated first."""
    operator, T, z = problem(tv(), splitting, (1, 8, 8))
    z = solve(T, z)
    (slope,) = torch.autograd.grad(T.image(T(z)).square().mean(), operator.penalty.parameters())
    assert slope.abs().max() > 1e-5


def test_the_factor_says_when_nothing_contracts():
    def factor_of(prior, splitting, spectrum):
        return problem(prior, splitting, (1, 8, 8), lost)[0].metric_factor(spectrum)

    for splitting in BOTH:
        assert factor_of(tv(), splitting, (0.0, 1.0)) < 1
        assert factor_of(tv(0, 0.02), splitting, (0.0, 1.0)) == 1
        assert factor_of(tv(0.01, 0), splitting, (0.0, 1.0)) == 1
        assert factor_of(tv(0.01, 0), splitting, (0.5, 1.0)) < 1
        assert math.isnan(problem(tv(), splitting, (1, 8, 8), lost)[0].contraction((0.0, 1.0)))
    # A larger A than that of the physics: the step is too long, and nothing is known.
    assert math.isnan(factor_of(tv(), primal_dual(), (0.0, 3.0)))


def test_filters_that_grow_still_contract():
    """σ follows ``‖K‖``: the factor holds for every K."""
    operator, T, z = problem(filters(8, 3, *SMOOTH), primal_dual(), (1, 8, 8))
    before, _ = operator.steps(), T(z)
    assert isinstance(operator.penalty, LearnedFilters)
    operator.penalty.entries.data *= 5
    after = operator.steps()
    assert after.sigma == pytest.approx(before.sigma / 25)
    assert after.tau == pytest.approx(before.tau)
    L = operator.metric_factor(operator.spectrum)
    assert L < 1
    with torch.no_grad():
        d = T(z + draw(0, *z.shape)) - T(z)
        assert size(operator, T(z + d) - T(z)) <= L * size(operator, d)
        u = z[:, 1:] + draw(1, *z[:, 1:].shape)  # what would diverge with the old σ
        z = torch.cat((z[:, :1], u), 1)
        x = solve(T, z, 1e-9)
    assert (T(x) - x).norm() < 1e-8 * x.norm()


def test_a_physics_without_singular_values_is_taken_by_its_gradient():
    physics = Blur(filter=torch.ones(1, 1, 3, 3, dtype=F64) / 9, padding="reflect")
    operator = primal_dual().operator(tv(), physics, (1, 8, 8), 1.0, F64, "cpu")
    y = physics.A(picture((1, 8, 8)))
    T = operator.bind(y, physics)
    x = operator.image(solve(T, operator.start(physics.A_adjoint(y)))).detach().requires_grad_()
    value = (physics.A(x) - y).square().sum() / 2 + 0.01 * (x - 0.5).square().sum()
    (slope,) = torch.autograd.grad(value + energy(operator.penalty, x, 0.01), x)
    assert slope.abs().max() < 1e-9
    with pytest.raises(UserError, match="that of Blur has none: choose forward_backward or primal_dual"):
        chambolle_pock().operator(tv(), physics, (1, 8, 8), 1.0, F64, "cpu")


@either
def test_a_state_holds_the_image_and_its_dual(splitting):
    operator, T, z = problem(tgv(), splitting, (3, 8, 8))
    assert z.shape == (2, 9 + 15, 8, 8)
    assert not z[:, 9:].any()
    torch.testing.assert_close(operator.image(z), T.physics.A_adjoint(T.y), rtol=0, atol=0)
    assert operator.image_bound((0.0, 1.0)) == 1.0
    single = splitting.operator(tv(), blur((1, 8, 8)), (1, 8, 8), 1.0, torch.float32, "cpu")
    physics = lost((1, 8, 8)).to(torch.float32)
    y = physics.A(picture((1, 8, 8)).float())
    assert single.bind(y, physics)(single.start(y)).dtype == torch.float32


def test_labels_make_their_values_again():
    for splitting, label in (
        (primal_dual(), "primal_dual"),
        (primal_dual(0.1), "primal_dual(sigma=0.1)"),
        (chambolle_pock(2), "chambolle_pock(sigma=2.0)"),
    ):
        assert splitting.label == label
        made = parse_call(label, SPLITTINGS, "operator")
        assert made == pickle.loads(pickle.dumps(splitting)) == splitting
    assert primal_dual() != chambolle_pock()
    operator = primal_dual(0.1).operator(tv(), blur((1, 8, 8)), (1, 8, 8), 1.0, F64, "cpu")
    assert operator.steps().sigma == pytest.approx(0.1)


@pytest.mark.parametrize("bad", [0, -1, math.nan, True])
def test_a_bad_step_gets_one_line(bad):
    for make in (primal_dual, chambolle_pock):
        with pytest.raises(UserError, match="sigma must be a positive number"):
            make(bad)


def test_what_an_operator_cannot_take_gets_one_line():
    def make(splitting, prior, physics=None):
        splitting.operator(prior, physics or blur((1, 16, 16)), (1, 16, 16), 1.0, F64, "cpu")

    for splitting in (SPLITTINGS["forward_backward"](), douglas_rachford(), half_quadratic()):
        for prior in (tv(), tgv(), filters()):
            if isinstance(prior, HasFilters) and not splitting.refusal(prior):
                continue  # by their coefficients
            with pytest.raises(UserError, match=f"needs the prox of {prior.label}.*: choose primal_dual$"):
                make(splitting, prior)
    coupled = replace(orientations(coupled=True), wavelet="haar", levels=2)
    for splitting in (douglas_rachford(), half_quadratic(), chambolle_pock()):
        with pytest.raises(UserError, match=r"synthesis is learned.*choose forward_backward or primal_dual$"):
            make(splitting, coupled)
        with pytest.raises(UserError, match=r"Blur has none: choose forward_backward or primal_dual$"):
            make(splitting, replace(l1(), wavelet="haar"), Blur(filter=torch.ones(1, 1, 3, 3, dtype=F64) / 9))
    for splitting in (*BOTH, half_quadratic()):
        with pytest.raises(UserError, match=r"dncnn is none: choose forward_backward$"):
            make(splitting, dncnn())


def test_anderson_converges_where_a_residual_first_rises():
    """T contracts in its weighted norm, so a restart from the best point alone led to the same points for ever."""
    task = replace(parse_task("deblurring(huber(0.01, 0.005))"), splitting=primal_dual())
    problem = build_problem(task, find_images(), Layout(64, 2, 1), 0, dtype=F64)
    T, start = problem.bind(problem.train), problem.start(problem.train)
    with torch.no_grad():
        plain, mixed = (solve(T, start).report for solve in (Picard(1e-6, 1000), Anderson(1e-6, 1000)))
    assert plain.converged
    assert mixed.converged
    assert mixed.applications < plain.applications
