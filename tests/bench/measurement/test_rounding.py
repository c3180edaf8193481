"""What an operator says it rounds off, and what its constants are below float64, against float64."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from deepinv.physics import BlurFFT, Denoising, Inpainting

from bench.measurement.training import training_step
from bench.operators import douglas_rachford, forward_backward, half_quadratic, peaceman_rachford
from bench.penalties import Penalty, colours, orientations, union
from bench.penalties.shrinkage_bounds import ShrinkageBounds
from bench.penalties.wavelet_matrix import analysis
from solvers import GMRES, Anderson, SmoothLoss, StagnationWarning, certified, implicit

# Not public: no solution holds the number of approaches.
from solvers._certificates.search import CertifiedSearch
from tests.helpers.problems import small_problem
from tests.helpers.tensors import draw

F32, F64 = torch.float32, torch.float64


KERNEL = draw(0, 1, 1, 5, 5).abs() / 10


def blur(dtype):
    return BlurFFT((3, 16, 16), KERNEL.float().to(dtype))


def lost(dtype):
    return Inpainting((3, 16, 16), mask=draw(1, 3, 16, 16).float().to(dtype))


def same(dtype):
    return Denoising()


PENALTIES = [
    Penalty("l1", 0.0, 0.0),
    Penalty("huber", 0.05, 0.3),
    orientations(0.01, 0.1),
    colours(0.0, 0.3),
    union(0.01, 0.02),
]


SPLITTINGS = [forward_backward(), peaceman_rachford(0.7), douglas_rachford(gamma=3.3), half_quadratic(0.3)]
"""Steps that float32 does not hold: of T_α they are a part of the rounding."""
each = pytest.mark.parametrize(
    ("penalty", "splitting"),
    [
        (p, s)
        for i, p in enumerate(PENALTIES)
        for j, s in enumerate(SPLITTINGS)
        if j == 0 or (i + j) % 3 == 0 or p.union
    ],
    ids=lambda made: made.label,
)


def both(penalty, splitting, physics, size, weight):
    """A bound operator in float32 and, of the same numbers, in float64, each built for itself."""
    penalty = replace(
        penalty, levels=2, weight=weight, wavelet="db2", union=("haar", "db2") if penalty.union else ()
    )
    narrow, wide = (
        splitting.operator(penalty, physics(F64), (3, 16, 16), 0.9, dtype, "cpu") for dtype in (F32, F64)
    )
    weights = narrow.prior.log_weights
    weights.data.add_(0.3 * draw(5, *weights.shape).float())
    wide.prior.log_weights.data.copy_(weights)
    if splitting == SPLITTINGS[0]:
        wide.log_step.copy_(narrow.log_step)
    y = (size * (1 + 1e-3 * draw(2, 2, 3, 16, 16))).float()
    return narrow.bind(y, physics(F32)), wide.bind(y.double(), physics(F64))


@pytest.mark.parametrize("size", [1e-3, 1.0, 300.0, 3e4])
@pytest.mark.parametrize("physics", [same, blur, lost])
@each
def test_no_application_rounds_off_more_than_it_says(penalty, splitting, physics, size):
    T, D = both(penalty, splitting, physics, size, size)
    regularity = T.regularity()
    for x in (
        T.operator.start(T.data.backprojection),
        1e-6 * T.operator.start(T.data.backprojection),
        T(T(T.operator.start(T.data.backprojection))),
    ):
        x = x.detach()
        with torch.no_grad():
            gap = float((T(x).double() - D(x.double())).norm())
        assert gap <= regularity.rounding(x)
        assert regularity.rounding(x) <= 1.1e-4 * (float(x.norm()) + float(T.y.norm()) + size)


@each
def test_bounds_below_float64_are_those_of_float64(penalty, splitting):
    """Nothing but the flips that rounding may make is added."""
    T, D = both(penalty, splitting, blur, 1.0, 0.05)
    x = T.operator.start(T.data.backprojection).detach()
    u = draw(3, *x.shape).float()
    a, b = T.regularity(), D.regularity()
    assert abs(a.L - b.L) <= 1e-12 * b.L
    for radius in (1e-3, 1.0):
        found, expected = a.change(x, u, radius), b.change(x.double(), u.double(), radius)
        for name in ("J", "B", "size"):
            right = getattr(expected, name)
            assert right * (1 - 1e-12) <= getattr(found, name) <= 1.3 * right


def test_a_coefficient_that_rounding_puts_beyond_its_kink_is_at_its_kink():
    """Its derivative jumps between the float32 step and the exact one, at the very same state."""
    T, D = both(Penalty("l1", 0.0, 0.0), SPLITTINGS[0], same, 300.0, 300.0)
    regularity, flips = T.regularity(), 0
    x = T.operator.start(T.data.backprojection).detach()
    for seed in range(40):
        at = x + (30 * draw(seed, *x.shape)).float()
        narrow, wide = at.clone().requires_grad_(), at.double().requires_grad_()
        u = draw(seed + 1, *x.shape).float()
        (a,) = torch.autograd.grad(T(narrow), narrow, u)
        (b,) = torch.autograd.grad(D(wide), wide, u.double())
        gap = float((a.double() - b).norm())
        flips += gap > 1e-3
        assert gap <= regularity.change(at, u, regularity.rounding(at)).J + 1e-5 * float(u.norm())


def test_what_float64_rounds_off_is_within_the_allowance():
    """Against 80 bits: denoising, by dense matrices."""
    penalty = Penalty("huber", 0.05, 0.3, "db4", 1, 300.0)
    operator = penalty.operator((1, 16, 16), 0.9, F64, "cpu")
    x, y = 300 + draw(0, 1, 1, 16, 16), 300 + draw(1, 1, 1, 16, 16)
    T = operator.bind(y, Denoising())
    long = np.longdouble
    W = analysis("db4", 16).to_dense().numpy().astype(long)
    tau = np.exp(long(float(operator.log_step)))
    sigma = 1 + tau * long(0.3)
    z = x[0, 0].numpy().astype(long)
    z = z + tau * (y[0, 0].numpy().astype(long) - z) + tau * long(0.3) / 2
    c = W @ z @ W.T
    t = np.zeros_like(c)
    weights = np.exp(operator.prior.log_weights.detach().numpy().astype(long))[0, 0]
    bands = operator.prior.wavelets.bands.numpy()
    for o in range(3):
        t[bands == 1 + o] = tau * weights[o]
    slope = t / (long(0.05) * sigma + t)
    right = W.T @ ((c - np.clip(slope * c, -t, t)) / sigma) @ W
    gap = float(np.linalg.norm((T(x).detach()[0, 0].numpy().astype(long) - right).astype(float)))
    assert 0 < gap <= T.regularity().rounding(x) < 1e-9


@pytest.mark.parametrize("splitting", SPLITTINGS[1:], ids=lambda s: s.label)
@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_what_float64_rounds_off_in_a_data_prox_is_within_the_allowance(splitting, ridge):
    """Against 80 bits: a blur by explicit matrices of the Fourier transform, and one level of haar."""
    long, n = np.longdouble, 16
    penalty = Penalty("huber", 0.01, ridge, "haar", 1, 0.01)
    physics = BlurFFT((1, n, n), KERNEL)
    operator = splitting.operator(penalty, physics, (1, n, n), 0.9, F64, "cpu")
    x, y = 300 + draw(0, 1, 1, n, n), 300 + draw(1, 1, 1, n, n)
    T = operator.bind(y, physics)
    index = np.arange(n)
    F = np.exp(-2j * np.arccos(long(-1)) / n * (index[:, None] * index % n).astype(long))
    padded = np.zeros((n, n), long)
    padded[:5, :5] = KERNEL[0, 0].numpy()
    K = F @ np.roll(padded, (-2, -2), (0, 1)) @ F.T

    def filtered(image, values):
        back = F.conj() @ (values * (F @ image @ F.T)) @ F.conj().T
        return back.real / n**2

    def plane(image):
        return image[0, 0].numpy().astype(long)

    np.testing.assert_allclose(filtered(plane(x), K).astype(float), physics.A(x)[0, 0].numpy(), rtol=1e-12)
    gamma = long(splitting.gamma)

    def data_prox(z):
        right = z + gamma * (filtered(plane(y), K.conj()) + long(ridge) / 2)
        return filtered(right, 1 / (1 + gamma * (long(ridge) + abs(K) ** 2)))

    def prox(z):
        W = analysis("haar", n).to_dense().numpy().astype(long)
        c = W @ z @ W.T
        t = np.zeros_like(c)
        weights = np.exp(operator.prior.log_weights.detach().numpy().astype(long))[0, 0]
        for o in range(3):
            t[operator.prior.wavelets.bands.numpy() == 1 + o] = gamma * weights[o]
        slope = t / (long(0.01) + t)
        return W.T @ (c - np.clip(slope * c, -t, t)) @ W

    z = plane(x)
    primal = data_prox(z)
    if splitting.same_equilibrium:
        right = z + 2 * long(splitting.alpha) * (prox(2 * primal - z) - primal)
    else:
        right = prox(primal)
    gap = float(np.linalg.norm((plane(T(x).detach()) - right).astype(float)))
    told = T.regularity().rounding(x)
    assert 0 < gap <= told < 1e-11 * float(x.norm())


def test_the_log_weights_are_what_it_is_the_derivative_in():
    T, _ = both(PENALTIES[0], SPLITTINGS[0], same, 1.0, 0.1)
    (told,) = T.regularity().parameters
    assert told is T.operator.prior.log_weights


@pytest.mark.misuse(
    "an operator of the benchmark in float32, weights and data in the hundreds",
    "right: the certificate holds, rounding included",
)
def test_the_distance_to_the_equilibrium_holds_with_weights_of_300():
    for seed in range(2):
        c = 300 + 0.3 * draw(seed, 1, 1, 16, 16).abs()
        c[..., :8, :8] = 0
        narrow, wide = (
            Penalty("l1", 0.0, 0.0, "haar", 1, 300.0).operator((1, 16, 16), 0.9, d, "cpu") for d in (F32, F64)
        )
        wide.log_step.copy_(narrow.log_step)
        wide.prior.log_weights.data.copy_(narrow.prior.log_weights)
        y = narrow.prior.wavelets.synthesise(c.float())
        T, D = narrow.bind(y, Denoising()), wide.bind(y.double(), Denoising())
        loss = SmoothLoss(lambda x: (x - 0.01).square().sum() / 2, 1.0)
        with torch.no_grad():
            x = Anderson(1e-7, 300)(T, torch.zeros_like(y)).x
        exact = implicit(Anderson(1e-14, 3000), GMRES(1e-13))(
            D, torch.zeros_like(y).double(), loss
        ).x.detach()
        regularity = T.regularity()
        with torch.no_grad():
            left = float((T(x) - x).norm())
        distance = float((exact - x.double()).norm())
        assert distance <= (left + regularity.rounding(x)) / (1 - regularity.L)
        assert not math.isclose(distance, 0.0, abs_tol=1e-12)


def test_certified_approaches_no_more_once_rounding_holds_its_residual_up(monkeypatch):
    """Further approaches, of 31 applications and more each, leave the residual and the certificate where they are."""
    found = small_problem("deblurring(huber)", dtype=F32)
    monkeypatch.setattr(ShrinkageBounds, "in_float64", lambda bounds: None)
    approach, begun = CertifiedSearch.approach, []

    def noted(search, *arguments):
        begun.append(search.forward.residual)
        return approach(search, *arguments)

    monkeypatch.setattr(CertifiedSearch, "approach", noted)
    with pytest.warns(StagnationWarning, match="solve in float64"):
        solution, _ = training_step(certified(0.01), found, found.train)
    nearest = 10 * torch.finfo(F32).eps
    assert 0 < solution.forward.residual < nearest
    assert begun
    assert not any(residual <= nearest for residual in begun)
    assert solution.certificates[0].relative < 0.25


@pytest.mark.parametrize(
    "call", ["deblurring(huber)", "inpainting(huber)", "inpainting(huber) by peaceman_rachford"]
)
def test_a_gradient_in_float32_is_certified_to_a_part_in_thousands(call):
    """Bounds that rounding amplifies by ``1/(1−L)²`` would be above a tenth."""
    found = small_problem(call, dtype=F32)
    solution, _ = training_step(certified(3e-4), found, found.train)
    (bound,) = solution.certificates
    assert solution.converged
    assert bound.rigorous
    assert bound.relative <= 3e-4


@pytest.mark.parametrize("splitting", SPLITTINGS, ids=lambda s: s.label)
@pytest.mark.parametrize("physics", [same, blur, lost])
def test_the_step_in_float64_is_that_of_the_same_numbers_with_the_same_leaves(physics, splitting):
    T, D = both(PENALTIES[1], splitting, physics, 1.0, 0.05)
    x = draw(0, 2, 3, 16, 16)
    promoted = T.regularity().in_float64()
    value = promoted(x)
    assert float((value - D(x)).detach().norm()) <= D.regularity().rounding(x)
    u = draw(1, *x.shape)
    (a,) = torch.autograd.grad(value, T.operator.prior.log_weights, u)
    (b,) = torch.autograd.grad(D(x), D.operator.prior.log_weights, u)
    torch.testing.assert_close(a, b.float())


def test_a_data_term_with_leaves_has_no_step_in_float64():
    penalty = replace(PENALTIES[1], levels=2, weight=0.05, wavelet="db2")
    operator = penalty.operator((3, 16, 16), 0.9, F32, "cpu")
    y = torch.ones(2, 3, 16, 16)
    assert operator.bind(y, Denoising()).regularity().in_float64() is not None
    assert operator.bind(y.requires_grad_(), Denoising()).regularity().in_float64() is None
