"""Analysis operators: adjoints, norms, what they are, and the prox of conjugates; float64."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from deepinv.optim.prior import TVPrior
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.config.call_syntax import parse_call
from bench.config.lookup import parse_task
from bench.penalties import PRIORS, filters, tgv, tv
from bench.penalties.analysis import group_dual_prox
from bench.penalties.finite_differences import gradient
from bench.penalties.learned_filters import cosines
from bench.penalties.weight_map import WeightMap
from bench.utils.errors import UserError
from tests.helpers.tensors import F64, draw

GREY, COLOUR = (1, 8, 12), (3, 8, 8)
CASES = [
    (tv(), GREY),
    (tv(isotropic=False), COLOUR),
    (tv(colours=True), COLOUR),
    (tv(isotropic=False, colours=True, weight_map=3), COLOUR),
    (tgv(), GREY),
    (tgv(), COLOUR),
    (filters(), COLOUR),
    (filters(5, 5, weight_map=2), GREY),
]
every = pytest.mark.parametrize(("prior", "shape"), CASES, ids=lambda value: getattr(value, "label", None))


def build(prior, shape, seed=0):
    """With scattered parameters: filters that are no longer orthogonal, and weights about as large as coefficients."""
    penalty = prior.analysis(shape, F64, "cpu")
    for index, parameter in enumerate(penalty.parameters()):
        parameter.data += 0.3 * draw(seed + 77 + index, *parameter.shape)
    return penalty


def states(penalty, shape, seed):
    return draw(seed, 2, penalty.primal_channels, *shape[1:])


def duals(penalty, shape, seed):
    return draw(seed, 2, penalty.dual_channels, *shape[1:])


def matrix(penalty, shape):
    """K of one sample, by its columns."""
    n = penalty.primal_channels * shape[1] * shape[2]
    basis = torch.eye(n, dtype=F64).view(n, penalty.primal_channels, *shape[1:])
    return penalty.analyse(basis).flatten(1).mT.detach()


@every
@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_the_adjoint_is_that_of_the_analysis(prior, shape, seed):
    penalty = build(prior, shape, seed)
    s, u = states(penalty, shape, seed), duals(penalty, shape, seed + 1)
    torch.testing.assert_close(
        (penalty.analyse(s) * u).sum(), (s * penalty.adjoint(u)).sum(), rtol=1e-12, atol=1e-12
    )


@every
def test_derivatives_of_the_analysis_are_exact(prior, shape):
    penalty = build(prior, (shape[0], 5, 6))
    s = states(penalty, (shape[0], 5, 6), 1).requires_grad_()
    u = duals(penalty, (shape[0], 5, 6), 2).requires_grad_()
    assert torch.autograd.gradcheck(penalty.analyse, s, check_forward_ad=True)
    assert torch.autograd.gradcheck(penalty.adjoint, u, check_forward_ad=True)


@every
def test_the_bound_on_the_norm_holds_and_is_nearly_attained(prior, shape):
    """For filters up to the frequencies that a small image lacks."""
    penalty = build(prior, shape)
    norm_squared = float(torch.linalg.matrix_norm(matrix(penalty, shape), 2)) ** 2
    bound = float(penalty.norm_squared())
    assert norm_squared <= bound * (1 + 1e-12)
    share = {"tv": 1 - 1e-12, "tgv": 0.93, "filters": 0.85}[prior.label.partition("(")[0]]
    assert norm_squared >= share * bound


@given(size=st.tuples(st.integers(2, 9), st.integers(2, 9)))
def test_the_norm_of_the_gradient_is_exact_and_below_8(size):
    penalty = tv().analysis((1, *size), F64, "cpu")
    exact = float(torch.linalg.matrix_norm(matrix(penalty, (1, *size)), 2)) ** 2
    assert float(penalty.norm_squared()) == pytest.approx(exact, rel=1e-12)
    assert float(penalty.norm_squared()) < 8


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), size=st.sampled_from((3, 5)), side=st.integers(5, 40))
def test_the_bound_on_the_norm_of_filters_holds_on_images_of_every_size(seed, size, side):
    """Against all eigenvalues of the circular convolutions, from their Fourier transforms on the grid of the image."""
    penalty = build(filters(4, size), (1, side, side + 1), seed)
    power = torch.fft.fft2(penalty.filters()[:, 0], s=(side, side + 1)).abs().square().sum(0).max()
    finest = torch.fft.fft2(penalty.filters()[:, 0], s=(240, 241)).abs().square().sum(0).max()
    assert power <= penalty.norm_squared()
    assert finest <= penalty.norm_squared() <= 1.05 * finest


def test_the_gradient_is_deepinvs():
    x = draw(3, 2, 3, 8, 9)
    theirs = TVPrior().nabla(x)
    torch.testing.assert_close(gradient(x), torch.cat(theirs.unbind(-1), 1), rtol=0, atol=0)


def test_the_strain_of_a_field_is_the_symmetric_part_of_its_backward_differences():
    """A second road: by the matrices of one-dimensional differences."""
    h, w = 6, 7
    penalty = tgv().analysis((1, h, w), F64, "cpu")
    field = draw(1, 2, h, w)
    D = [torch.eye(n, dtype=F64) - torch.eye(n, dtype=F64).roll(-1, 1) for n in (h, w)]
    for d in D:
        d[0] = 0
    first, second = D[0] @ field[0], field[1] @ D[1].mT
    mixed = (D[0] @ field[1] + field[0] @ D[1].mT) / 2
    v = penalty.analyse(torch.cat((torch.zeros(1, h, w, dtype=F64), field))[None])[0, 2:]
    torch.testing.assert_close(v[0], first, rtol=0, atol=1e-14)
    torch.testing.assert_close(v[1], second, rtol=0, atol=1e-14)
    torch.testing.assert_close(v[2], mixed * math.sqrt(2), rtol=0, atol=1e-14)


def test_tgv_is_zero_on_affine_images_and_on_no_others():
    penalty = tgv().analysis((1, 6, 7), F64, "cpu")
    rows, columns = torch.meshgrid(torch.arange(6).to(F64), torch.arange(7).to(F64), indexing="ij")
    affine = torch.stack(
        [0.2 + 0.3 * rows - 0.1 * columns, torch.full_like(rows, 0.3), torch.full_like(rows, -0.1)]
    )
    assert penalty.analyse(affine[None]).abs().max() < 1e-14
    values = torch.linalg.svdvals(matrix(penalty, (1, 6, 7)))
    free = int((values < 1e-10).sum())
    assert free == 3  # the affine images, each with its slopes


def test_filters_begin_as_the_cosines_and_keep_a_zero_mean():
    penalty = filters().analysis((1, 8, 8), F64, "cpu")
    torch.testing.assert_close(penalty.filters().flatten(1), cosines(3), rtol=0, atol=0)
    torch.testing.assert_close(cosines(5) @ cosines(5).mT, torch.eye(24, dtype=F64), rtol=0, atol=1e-13)
    penalty = build(filters(), (1, 8, 8))
    assert penalty.filters().sum((1, 2, 3)).abs().max() < 1e-13
    assert penalty.analyse(torch.full((1, 1, 8, 8), 0.7, dtype=F64)).abs().max() < 1e-13


def test_filters_are_circular_correlations():
    penalty = build(filters(3, 5), (2, 8, 9))
    x, a = draw(0, 1, 2, 8, 9), penalty.filters().detach()[:, 0]
    v = penalty.analyse(x).detach()
    for channel in range(2):
        for k in range(3):
            expected = sum(
                a[k, i, j] * x[0, channel].roll((2 - i, 2 - j), (0, 1)) for i in range(5) for j in range(5)
            )
            torch.testing.assert_close(v[0, 3 * channel + k], expected, rtol=0, atol=1e-13)


@every
@settings(max_examples=5)
@given(seed=st.integers(0, 10_000), smooth=st.booleans(), step=st.floats(0.01, 10))
def test_the_dual_prox_minimises_its_problem(prior, shape, seed, smooth, step):
    """``prox_{σg*}(v) = v − σ prox_{g/σ}(v/σ)``, and the latter is checked against moves of the primal point."""
    d = prior.smoothing if smooth else 0.0
    penalty = build(prior, shape, seed)
    penalty.smoothing = d
    penalty.log_weights.data += 3
    sigma = torch.tensor(step, dtype=F64)
    v = duals(penalty, shape, seed)
    with torch.no_grad():
        p = (v - penalty.dual_prox(v, sigma)) / sigma
        best = objective(penalty, p, v, step)
        for i, size in enumerate((1e-3, 1e-2, 1e-1, 1.0)):
            assert objective(penalty, p + size * draw(seed + 10 + i, *p.shape), v, step) > best
            assert objective(penalty, p + size * (v / step - p), v, step) >= best * (1 - 1e-13)


def objective(penalty, p, v, step):
    """``g(p) + σ/2 ‖p − v/σ‖²``, with groups by hand."""
    radii, d = penalty.radii(), penalty.smoothing
    name = type(penalty).__name__
    if name == "TotalVariation":
        squares = p.unflatten(1, (2, -1)).square()
        if radii.shape[0] == 1:
            squares = squares.sum(1, keepdim=True)
        if radii.shape[1] < p.shape[1] // 2:
            squares = squares.sum(2, keepdim=True)
        parts = [(squares.sqrt(), radii)]
    elif name == "TotalGeneralisedVariation":
        n = p.shape[1] // 5
        norms = [part.unflatten(1, (-1, n)).norm(dim=1) for part in (p[:, : 2 * n], p[:, 2 * n :])]
        parts = list(zip(norms, radii, strict=True))
    else:
        parts = [(p.abs().unflatten(1, radii.shape[:2]), radii)]
    total = step / 2 * (p - v / step).square().sum()
    for t, weight in parts:
        huber = torch.where(t > d, t - d / 2, t.square() / (2 * d) if d else t)
        total = total + (weight * huber).sum()
    return total


@pytest.mark.parametrize("dims", [(), (1,), (0, 1)])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_derivatives_of_the_dual_prox_are_exact_and_finite_at_0(dims, smoothing):
    v, radius = draw(0, 4, 3, 5).requires_grad_(), (draw(1, 1, 1, 5).exp()).requires_grad_()
    step = torch.tensor(0.7, dtype=F64)
    assert torch.autograd.gradcheck(
        lambda v, r: group_dual_prox(v, step, r, smoothing, dims), (v, radius), check_forward_ad=True
    )
    zero = torch.zeros(4, 3, 5, dtype=F64, requires_grad=True)
    out = group_dual_prox(zero, step, radius, smoothing, dims)
    grads = torch.autograd.grad(out, (zero, radius), torch.ones_like(out))
    slope = radius / (radius + step * smoothing)
    torch.testing.assert_close(grads[0], slope.expand_as(zero))
    assert torch.equal(grads[1], torch.zeros_like(radius))


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("dims", [(), (1,)])
def test_a_weight_that_vanished_gives_zeros(dtype, dims):
    v = torch.cat((torch.zeros(1, 2, 2), torch.ones(1, 2, 2))).to(dtype).requires_grad_()
    radius = torch.zeros(2, dtype=dtype, requires_grad=True)
    out = group_dual_prox(v, torch.tensor(0.5, dtype=dtype), radius, 0.0, dims)
    grads = torch.autograd.grad(out.sum(), (v, radius))
    assert not out.any()
    assert all(grad.isfinite().all() for grad in grads)


def test_a_weight_map_is_bilinear_between_its_corners():
    grid = draw(0, 2, 3, 3)
    found = WeightMap(3, (9, 17), grid)(grid)
    expected = torch.nn.functional.interpolate(grid[None], (9, 17), mode="bilinear", align_corners=True)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("prior", "shape", "expected"),
    [
        (tv(), GREY, {"log_weights": (1, 1, 1, 1)}),
        (tv(), COLOUR, {"log_weights": (1, 3, 1, 1)}),
        (tv(isotropic=False), COLOUR, {"log_weights": (2, 3, 1, 1)}),
        (tv(colours=True), COLOUR, {"log_weights": (1, 1, 1, 1)}),
        (tv(weight_map=4), COLOUR, {"log_weights": (1, 3, 4, 4)}),
        (tgv(), COLOUR, {"log_weights": (2, 3, 1, 1)}),
        (filters(), COLOUR, {"log_weights": (3, 8, 1, 1), "entries": (8, 8)}),
        (filters(24, 5, weight_map=2), GREY, {"log_weights": (1, 24, 2, 2), "entries": (24, 24)}),
    ],
    ids=lambda value: getattr(value, "label", None),
)
def test_what_is_learned(prior, shape, expected):
    penalty = prior.analysis(shape, torch.float32, "cpu")
    assert {name: tuple(p.shape) for name, p in penalty.named_parameters()} == expected
    assert {p.dtype for p in penalty.parameters()} == {torch.float32}


@pytest.mark.parametrize(("prior", "label"), [
    (tv(), "tv"),
    (tv(0, 0, False), "tv(smoothing=0.0, ridge=0.0, isotropic=False)"),
    (tv(colours=True, weight_map=8), "tv(colours=True, weight_map=8)"),
    (tgv(ridge=1), "tgv(ridge=1.0)"),
    (filters(4, 5, weight_map=2), "filters(number=4, size=5, weight_map=2)"),
])  # fmt: skip
def test_a_label_is_the_shortest_call_and_makes_its_value_again(prior, label):
    assert prior.label == label
    made = parse_call(label, PRIORS, "penalty")
    assert made == pickle.loads(pickle.dumps(prior)) == prior
    assert parse_task(f"deblurring({label})").label == f"deblurring({label})"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("tv(smoothing=-1)", "smoothing must be a number of at least 0"),
        ("tv(ridge=True)", "ridge must be a number of at least 0"),
        ("tv(isotropic=1)", "isotropic must be True or False"),
        ("tv(colours=0)", "colours must be True or False"),
        ("tv(weight_map=1)", "weight_map must be a whole number from 2 to 64, not 1"),
        ("tv(weight_map=True)", "weight_map must be a whole number from 2 to 64"),
        ("tv(weight_map=2.5)", "weight_map must be a whole number from 2 to 64"),
        ("tgv(smoothing=True)", "smoothing must be a number of at least 0"),
        ("tgv(weight_map=2)", "unexpected keyword"),
        ("filters(number=9)", "number must be a whole number from 1 to 8, not 9"),
        ("filters(size=4)", "size must be odd, such as 3 or 5, not 4"),
        ("filters(size=1)", "size must be a whole number from 3 to 11"),
        ("filters(weight_map=99)", "weight_map must be a whole number from 2 to 64, not 99"),
    ],
)
def test_a_bad_argument_gets_one_line(call, message):
    with pytest.raises(UserError, match=message) as error:
        parse_call(call, PRIORS, "penalty")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("prior", "shape", "message"),
    [
        (tv(colours=True), GREY, "the images are grey: choose a colour task"),
        (tv(weight_map=9), GREY, "too small for tv.*: a side needs at least 9 pixels"),
        (tv(), (1, 1, 8), "images of 1×8 are too small for tv: a side needs at least 2 pixels"),
        (tgv(), (1, 8, 1), "a side needs at least 2 pixels"),
        (filters(3, 9), GREY, "a side needs at least 9 pixels"),
    ],
)
def test_images_that_do_not_fit_get_one_line(prior, shape, message):
    with pytest.raises(UserError, match=message):
        prior.analysis(shape, F64, "cpu")


@pytest.mark.parametrize("prior", [tv(), tgv(), filters()], ids=lambda prior: prior.label)
def test_forward_backward_refuses_and_says_what_to_choose(prior):
    with pytest.raises(
        UserError, match=f"forward_backward needs the prox of {prior.label}.*choose primal_dual"
    ):
        prior.operator(GREY, 1.0, F64, "cpu")
