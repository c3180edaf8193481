"""The reference gradient, against central differences of the solved problem."""

from __future__ import annotations

import math

import pytest
import torch

from bench.config.matrix import parse_task
from bench.measurement import implicit_gradient
from bench.measurement import reference_cache as references
from bench.measurement.hypergradient import NoReference, ReferenceGradient, reference_gradient
from bench.measurement.reference_cache import cached_reference as shared
from bench.measurement.stability import destination, spectral_radius
from bench.tasks import build_problem, loss
from bench.tasks.images import Layout, find_images
from solvers import Picard
from solvers.conformance import relative_error
from tests.helpers.problems import small_problem
from tests.helpers.references import Computed, reference
from tests.helpers.tensors import F64, draw


@pytest.mark.parametrize(
    "text",
    [
        "denoising(huber)",
        "deblurring(huber(0.05, 0.1))",
        pytest.param("inpainting(huber(0.05, 0.1))", marks=pytest.mark.slow),
    ],
)
def test_it_agrees_with_central_differences_of_the_solved_problem(text):
    """Re-solved by plain iterations at ``w ± h``: neither Anderson nor autograd has a part in it.

    The penalty has kinks, so the difference is taken over steps small enough that no coefficient
    crosses one, and the equilibrium is solved accordingly.
    """
    found = small_problem(text)
    exact = reference(found)
    assert exact.residual <= 1e-10
    assert exact.adjoint_residual <= 1e-10
    (weights,) = found.operator.parameters()
    T, batch = found.bind(found.train), found.train
    solve = Picard(1e-15, 3000)

    def objective(i, h):
        with torch.no_grad():
            weights.view(-1)[i] += h
            value = loss(solve(T, batch.x0).x, batch.truth)
            weights.view(-1)[i] -= h
        return value

    h = 1e-6
    differences = torch.stack(
        [(objective(i, h) - objective(i, -h)) / (2 * h) for i in range(weights.numel())]
    )
    assert relative_error(differences, exact.gradient) < 1e-5


def test_there_is_none_where_it_cannot_be_certified():
    with pytest.raises(NoReference, match="the equilibrium has a residual of"):
        reference(small_problem(), budget=5)
    found = small_problem()
    batch = found.train
    T = found.bind(batch)

    def singular(x):
        """Converges forward, but ``I − J = 0``: the adjoint equation has no solution."""
        return T(x).detach() + (x - x.detach())

    with pytest.raises(NoReference, match="the adjoint has a residual of"):
        reference_gradient(
            singular, list(found.operator.parameters()), batch.x0, lambda x: loss(x, batch.truth), 300
        )


def test_it_insists_on_float64():
    with pytest.raises(TypeError, match="float64"):
        reference_gradient(lambda x: x, [], torch.zeros(1, 3), torch.sum)


def test_an_interpolating_loss_has_a_zero_gradient():
    found = small_problem("denoising(huber)")
    exact = reference_gradient(
        found.bind(found.train), list(found.operator.parameters()), found.train.x0, lambda x: 0 * x.sum()
    )
    assert torch.equal(exact.gradient, torch.zeros_like(exact.gradient))
    assert exact.adjoint_residual == 0


def network(seed, n, gain):
    """``tanh(Wx + c + θ)``, a gradient's loss, and a start: of gain above 1 it has several equilibria."""
    W = draw(seed, n, n)
    W = gain * W / torch.linalg.matrix_norm(W, 2)
    c, theta = 0.1 * draw(seed + 1000, n), torch.zeros(n, dtype=F64, requires_grad=True)
    return (lambda x: torch.tanh(x @ W.T + c + theta)), theta, draw(seed + 2000, 1, n)


def dense(T, theta, x):
    """The implicit gradient of ``‖x‖²/2`` at a fixed point, by a direct solve."""
    J = torch.autograd.functional.jacobian(lambda z: T(z[None])[0], x[0])
    u = torch.linalg.solve(torch.eye(x.shape[1], dtype=F64) - J.mT, x[0])
    return torch.autograd.grad(T(x), theta, u[None])[0], float(torch.linalg.eigvals(J).abs().max())


def half_square(x):
    return x.square().sum() / 2


@pytest.mark.misuse(
    "the oracle on a map with several equilibria",
    "right: the gradient at the one where plain iteration arrives and stays, or none",
)
@pytest.mark.parametrize("gain", [0.9, *(pytest.param(g, marks=pytest.mark.slow) for g in (1.3, 1.7)), 2.5])
def test_the_equilibrium_is_that_of_plain_iteration(gain):
    given = 0
    for seed in range(25):
        T, theta, x0 = network(seed, 4, gain)
        with torch.no_grad():
            x = x0
            for _ in range(4000):
                x = T(x)
            stays = float((T(x) - x).norm()) < 1e-13
        try:
            found = reference_gradient(T, [theta], x0, half_square)
        except NoReference:
            found = None
        assert stays == (found is not None), seed
        if found is None:
            continue
        exact, radius = dense(T, theta, x)
        given += 1
        assert relative_error(found.gradient, exact) <= max(1e-11, 10 * found.error)
        assert found.radius == pytest.approx(radius, rel=1e-6)
    assert given >= 10


def test_a_saddle_on_which_the_start_lies_is_no_equilibrium_of_plain_iteration():
    theta = torch.zeros(2, dtype=F64, requires_grad=True)

    def T(x):  # 0 repels in the first coordinate, and x0 = (0, 1) never leaves it
        return torch.tanh(x * torch.tensor([1.5, 0.5], dtype=F64) + 0 * theta) + 0 * theta

    with pytest.raises(NoReference, match=r"spectral radius of J is 1\.5"):
        reference_gradient(T, [theta], torch.tensor([[0.0, 1.0]], dtype=F64), half_square)


@pytest.mark.misuse(
    "the oracle on a map that settles in a cycle", "refused: plain iteration settles nowhere in …"
)
def test_a_cycle_has_no_reference():
    theta = torch.zeros(1, dtype=F64, requires_grad=True)
    with pytest.raises(NoReference, match="settles nowhere"):
        reference_gradient(
            lambda x: 3.5 * x * (1 - x) + theta, [theta], torch.full((1, 1), 0.3, dtype=F64), half_square
        )


@pytest.mark.misuse(
    "the oracle on an iteration that creeps, with tiny residuals far from its equilibrium",
    "right: the equilibrium by Newton's method, with the error that rounding leaves, or none",
)
@pytest.mark.parametrize("start", [1.0, *(pytest.param(s, marks=pytest.mark.slow) for s in (2.0, 2.7))])
def test_an_iteration_that_creeps_is_solved_or_its_error_is_told(start):
    """Its residual may be below 1e-12 wherever it starts; the exact gradient is 6."""
    theta, given = torch.zeros((), dtype=F64, requires_grad=True), 0
    for rate in (1e-13, 1e-12, 1e-11, 1e-9, 1e-6, 1e-3):

        def T(x, rate=rate):
            return torch.stack((x[:, 0] / 2 + 5 + theta * x[:, 1], x[:, 1] + rate * (3 - x[:, 1])), 1)

        try:
            found = reference_gradient(
                T, [theta], torch.tensor([[10.0, start]], dtype=F64), lambda x: x[:, 0].sum()
            )
        except NoReference:
            continue
        given += 1
        assert abs(float(found.gradient) - 6) / 6 <= max(found.error, 1e-13), rate
        assert found.error <= 1e-14 / rate
        assert found.basis == "estimate"
    assert given >= 4


def test_an_equilibrium_that_rounding_hides_has_no_reference():
    theta = torch.zeros((), dtype=F64, requires_grad=True)

    def T(x):
        return torch.stack((x[:, 0] / 2 + 5 + theta * x[:, 1], x[:, 1] + 1e-15 * (3 - x[:, 1])), 1)

    with pytest.raises(NoReference):
        reference_gradient(T, [theta], torch.tensor([[10.0, 1.0]], dtype=F64), lambda x: x[:, 0].sum())


@pytest.mark.misuse("the oracle on a state of one dimension", "right: it is a single sample")
def test_a_state_of_one_dimension_is_a_single_sample():
    theta = torch.ones(3, dtype=F64, requires_grad=True)
    found = reference_gradient(
        lambda x: 0.5 * x + theta, [theta], torch.zeros(3, dtype=F64), lambda x: x.sum()
    )
    torch.testing.assert_close(found.gradient, torch.full((3,), 2.0, dtype=F64), rtol=1e-14, atol=0)


@pytest.mark.misuse(
    "the oracle on a complex state", "refused: the oracle works in float64, not torch.complex128"
)
def test_a_complex_state_is_refused():
    with pytest.raises(TypeError, match="complex128"):
        reference_gradient(
            lambda x: x, [], torch.zeros(1, 3, dtype=torch.complex128), lambda x: x.abs().sum()
        )


@pytest.mark.parametrize(
    ("text", "basis"),
    [("denoising(huber)", "certificate"), ("inpainting(l1)", "estimate"), ("denoising(dncnn)", "estimate")],
)
def test_a_reference_says_how_wrong_it_may_be_and_another_start_agrees(text, basis):
    found = small_problem(text)
    batch, parameters = found.train, [p for p in found.operator.parameters() if p.requires_grad]
    start = found.start(batch)
    one, other = (
        reference_gradient(found.limit(batch), parameters, x0, found.criterion(batch))
        for x0 in (start, start + 0.1 * draw(3, *start.shape))
    )
    assert one.basis == basis
    least = max(one.residual, one.adjoint_residual) if basis == "estimate" else 0
    assert least <= one.error < 1e-9
    assert relative_error(one.gradient, other.gradient) <= 1e-10
    assert math.isnan(one.radius) or one.radius < 1


@pytest.mark.parametrize(("slow", "left"), [(1 - 1e-3, 1e-11), (1 - 1e-6, 1e-13)])
def test_an_estimate_counts_what_is_left_of_an_adjoint_that_cannot_be_refined(slow, left, monkeypatch):
    """Neither B nor v moves with x, so that all of the error is the adjoint's; the second is below its rounding."""
    theta = torch.zeros(2, dtype=F64, requires_grad=True)
    J = torch.tensor([0.5, slow], dtype=F64)
    u = torch.tensor([[2.0, (1 - left) / (1 - slow)]], dtype=F64)
    monkeypatch.setattr(implicit_gradient, "_adjoint", lambda point, budget: u)
    found = reference_gradient(
        lambda x: J * x + theta, [theta], torch.ones(1, 2, dtype=F64), lambda x: x.sum(), 10_000
    )
    exact = 1 / (1 - J)
    actual = relative_error(found.gradient, exact)
    assert actual > 0.9 * left
    assert actual <= found.error <= 3 * actual + 3 * implicit_gradient.NOISE / (1 - slow)


@pytest.mark.misuse(
    "a GPU without the memory for a float64 reference", "right: the CPU computes it, and the cell goes on"
)
def test_a_reference_that_does_not_fit_on_its_device_is_computed_on_the_cpu(monkeypatch):
    def small(*given, device, **further):
        if device.type == "cuda":
            raise error
        return build_problem(*given, device=device, **further)

    made = Computed(monkeypatch, small)
    given = (parse_task("denoising(huber)"), find_images(), Layout(32, 1, 1), 1, 0, 300)
    error = torch.OutOfMemoryError("CUDA out of memory")
    found, right = (shared(*given, device=torch.device(name)) for name in ("cuda", "cpu"))
    assert isinstance(found, ReferenceGradient)
    assert isinstance(right, ReferenceGradient)
    assert torch.equal(found.gradient, right.gradient)
    assert made.devices == ["cuda", "cpu", "cpu"]
    references._computed.cache_clear()
    error = RuntimeError("a kernel is missing")
    with pytest.raises(RuntimeError, match="a kernel is missing"):
        shared(*given, device=torch.device("cuda"))


@pytest.mark.parametrize("n", [1, 3, 60])
def test_the_spectral_radius_is_the_largest_eigenvalue(n):
    for seed in range(5):
        A = draw(seed, n, n) / n**0.5
        radius = float(torch.linalg.eigvals(A).abs().max())
        assert spectral_radius(lambda w, A=A: A @ w, draw(9, n)) == pytest.approx(
            radius, rel=1e-9 if n < 30 else 0.1
        )
    turned = torch.tensor([[0.5, 100.0], [0.0, 0.4]], dtype=F64).repeat(1, 1)  # far from normal
    assert spectral_radius(lambda w: turned @ w, draw(9, 2)) == pytest.approx(0.5)


def test_plain_iteration_arrives_where_it_says():
    target = torch.full((1, 2), 2.0, dtype=F64)
    assert destination(lambda x: 0.5 * x + 1, torch.zeros(1, 2, dtype=F64), target, 100) is target
    elsewhere = destination(lambda x: 0.5 * x + 1, torch.zeros(1, 2, dtype=F64), -target, 100)
    torch.testing.assert_close(elsewhere, target, rtol=1e-9, atol=0)
    assert destination(lambda x: -x, torch.ones(1, 2, dtype=F64), None, 100) is None
