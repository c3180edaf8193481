"""The ways to reach an equilibrium and to solve the adjoint equation, each held to what it promises."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from solvers import (
    CG,
    GMRES,
    Anderson,
    Implicit,
    Iterate,
    Nesterov,
    Picard,
    Shared,
    Solver,
    checkpointed,
    implicit,
    neumann,
    phantom,
    restarted_jfb,
    unrolled,
)
from solvers._adjoint import AdjointMap, adjoint_map
from solvers.conformance import Contraction, Counted, dense_oracle, gradient, relative_error, start

F64 = torch.float64
REACHES = [Picard(1e-10), Nesterov(1e-10), Anderson(1e-10), Anderson(1e-10, memory=1, every=1)]


class Linear:
    """``u -> v + Mu``, a row a sample, and its product with M alone; counts the products."""

    inverse = None

    def __init__(self, M: torch.Tensor, v: torch.Tensor) -> None:
        self.M, self.v, self.products = M, v, 0

    def linear(self, u):
        self.products += 1
        return u @ self.M.T

    def __call__(self, u):
        return self.v + self.linear(u)


def matrix(n: int, size: float, seed: int, symmetric: bool = False) -> torch.Tensor:
    M = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=F64)
    M = M + M.T if symmetric else M
    return size * M / torch.linalg.matrix_norm(M, 2)


@dataclass(frozen=True)
class Rates:
    """``x -> r x + 1`` with rates r, a row a sample, entry by entry; it can leave samples out and counts their rows."""

    rates: torch.Tensor
    seen: list[int]

    def __call__(self, x):
        self.seen.append(len(x))
        return self.rates * x + 1

    def pick(self, index):
        return Rates(self.rates[index], self.seen)


# A batch


@pytest.mark.parametrize("reach", REACHES)
def test_a_sample_ends_as_it_would_alone(reach):
    rates = torch.tensor([0.1, 0.9, 0.0, 0.97, 0.5], dtype=F64)[:, None] * torch.linspace(0, 1, 9, dtype=F64)
    x0 = start(5, 9)
    together = reach(Rates(rates, []), x0)
    worst = 0.0
    for i in range(5):
        alone = reach(Rates(rates[i : i + 1], []), x0[i : i + 1])
        torch.testing.assert_close(together.x[i : i + 1], alone.x, rtol=1e-12, atol=1e-12)
        worst = max(worst, alone.report.residual)
    assert together.report.converged
    assert together.report.residual == pytest.approx(worst, rel=1e-6)


@pytest.mark.parametrize("reach", REACHES[:3])
def test_samples_that_have_converged_are_left_out(reach):
    """A map that can is applied to fewer and fewer samples, and the report says to how many."""
    slow = torch.tensor([0.0, 0.1, 0.1, 0.99], dtype=F64)[:, None] * torch.linspace(0, 1, 9, dtype=F64)
    seen: list[int] = []
    divided = reach(Rates(slow, seen), start(4, 9))
    assert divided.report.applications == len(seen)
    assert divided.report.share == pytest.approx(sum(seen) / (4 * len(seen)))
    assert (seen[0], seen[-1]) == (4, 1)
    together = Rates(slow, whole := [])
    plain = reach(lambda x: together(x), start(4, 9))
    assert set(whole) == {4}
    assert plain.report.share == 1.0
    torch.testing.assert_close(divided.x, plain.x, rtol=1e-9, atol=1e-12)


class Divided(Contraction):
    """The contraction of the conformance suite, with measurements of each sample's own that can be left out."""

    def __init__(self, shift: torch.Tensor) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, x):
        return super().forward(x) + self.shift

    def pick(self, index):
        picked = Divided(self.shift[index])
        picked.theta, picked.c, picked.s = self.theta, self.c, self.s
        return picked


@pytest.mark.parametrize("adjoint", [Picard(1e-11), Anderson(1e-11)])
def test_the_adjoint_leaves_samples_out_too_and_says_what_that_cost(adjoint):
    T = Divided(torch.linspace(0, 2, 24, dtype=F64).view(4, 6))
    # Cotangents of three samples are as good as 0: the Neumann series of these ends at once.
    weight = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=F64)[:, None]
    solver = Solver("divided", Iterate(200), Implicit(adjoint))
    found, solution = gradient(solver, T, start(4, 6), lambda x: (weight * x * x).sum())
    expected, _ = gradient(
        implicit(Iterate(200), GMRES(1e-13)), T, start(4, 6), lambda x: (weight * x * x).sum()
    )
    assert relative_error(found, expected) < 1e-9
    assert solution.again == [1]
    assert solution.applications == 200 + 1 + 1
    assert solution.adjoint[0].share < 0.5


def test_an_application_taped_again_is_counted():
    seen: list[int] = []

    class Seen(Divided):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    T = Seen(torch.zeros(4, 6, dtype=F64))
    T.pick = lambda index: (
        lambda x, shift=T.shift[index]: (seen.append(len(x)), Contraction.forward(T, x) + shift)[1]
    )  # pyright: ignore
    weight = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=F64)[:, None]
    solution = Solver("s", Iterate(20), Implicit(Anderson(1e-8)))(T, start(4, 6))
    (weight * solution.x.square()).sum().backward()
    assert len(seen) == solution.applications
    assert seen[-1] == 1


# Nesterov, Anderson


def test_nesterov_is_faster_than_plain_steps_where_it_should_be():
    W = torch.diag(torch.linspace(0, 0.995, 16, dtype=F64))
    plain = Picard(1e-8, 9000)(lambda x: x @ W + 1, start(2, 16)).report
    fast = Nesterov(1e-8, 9000)(lambda x: x @ W + 1, start(2, 16)).report
    assert plain.converged
    assert fast.converged
    assert 5 * fast.applications < plain.applications


@pytest.mark.parametrize("reach", [Nesterov(1e-9, 3000), Anderson(1e-9, 3000)])
@given(seed=st.integers(0, 30))
def test_acceleration_survives_rotations(reach, seed):
    """Complex eigenvalues of modulus .98: momentum alone diverges there."""
    M = torch.linalg.qr(matrix(8, 1, seed)).Q * 0.98
    at = reach(lambda x: x @ M.T + 1, start(3, 8))
    assert at.report.converged
    exact = torch.linalg.solve(torch.eye(8, dtype=F64) - M, torch.ones(8, 1, dtype=F64)).T
    assert relative_error(at.x, exact.expand(3, 8)) < 1e-6


def test_a_solve_that_begins_at_its_end_stops_there():
    for reach in REACHES:
        report = reach(lambda x: 0.5 * x, torch.zeros(2, 3, dtype=F64)).report
        assert (report.applications, report.residual, report.converged) == (1, 0.0, True)


@given(seed=st.integers(0, 50), memory=st.integers(2, 5))
def test_anderson_with_room_for_every_direction_ends_like_a_krylov_method(seed, memory):
    M = matrix(memory - 1, 0.9, seed)
    at = Anderson(1e-10, 60, memory, memory)(lambda x: x @ M.T + 1, start(1, memory - 1))
    assert at.report.applications <= 3 * memory


@given(seed=st.integers(0, 50))
def test_the_inverse_that_anderson_leaves_fulfils_the_secant_equations(seed):
    """On an affine map with room for every direction it is the inverse itself."""
    M = matrix(4, 0.8, seed)
    at = Anderson(1e-4, 60, 5, 1, shared=True)(lambda x: x @ M.T + 1, start(1, 4))
    assert at.inverse is not None
    v = torch.linspace(-1, 2, 4, dtype=F64)[None]
    exact = torch.linalg.solve(torch.eye(4, dtype=F64) - M.T, v[0])
    if at.report.applications >= 6:  # enough differences to span the space
        assert relative_error(at.inverse(v)[0], exact) < 1e-4


def test_sharing_the_inverse_beats_jfb_and_refining_it_helps():
    T = Contraction()
    exact = dense_oracle(T, start(1, 6))
    reach = Anderson(1e-8, memory=8, every=1, shared=True)
    errors = [
        relative_error(gradient(implicit(reach, Shared(k)), T, start(1, 6))[0], exact) for k in (0, 2, 8)
    ]
    jfb = relative_error(gradient(neumann(100, 1), T, start(1, 6))[0], exact)
    assert errors[0] < 0.5 * jfb
    assert errors[2] < errors[1] < errors[0]


def test_sharing_needs_something_to_share():
    with pytest.raises(ValueError, match="shared=True"):
        gradient(implicit(Anderson(1e-6), Shared()), Contraction(), start(2, 6))


# Krylov methods


@given(seed=st.integers(0, 100), n=st.integers(1, 7), samples=st.integers(1, 3))
def test_gmres_ends_in_n_products(seed, n, samples):
    M = matrix(n, 0.97, seed)
    T = Linear(M, start(samples, n) + 0.1)
    at = GMRES(1e-9, 50)(T, T.v)
    assert at.report.converged
    assert at.report.applications == T.products <= n
    torch.testing.assert_close(T(at.x), at.x, rtol=1e-7, atol=1e-7)


@given(seed=st.integers(0, 100), k=st.integers(1, 6))
def test_gmres_minimises_the_residual_over_the_krylov_space(seed, k):
    M, v = matrix(9, 0.9, seed), start(1, 9)
    at = GMRES(1e-15, k)(T := Linear(M, v), T.v)
    A = torch.eye(9, dtype=F64) - M
    powers = torch.stack([torch.linalg.matrix_power(M, j) @ v[0] for j in range(k)], 1)
    best = torch.linalg.vector_norm(
        v[0] - A @ powers @ torch.linalg.lstsq(A @ powers, v[0][:, None]).solution[:, 0]
    )
    found = torch.linalg.vector_norm(v[0] - A @ at.x[0])
    assert float(found) == pytest.approx(float(best), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("adjoint", [GMRES(1e-6, 300, memory=7), GMRES(1e-6, 300), CG(1e-6)])
def test_the_residual_of_a_krylov_method_is_that_of_its_point(adjoint):
    M = matrix(40, 0.95, 3, symmetric=True)
    T = Linear(M, start(3, 40))
    at = adjoint(T, T.v)
    assert at.report.applications == T.products
    y = T(at.x)
    sizes = torch.linalg.vector_norm(y - at.x, dim=1) / torch.linalg.vector_norm(y, dim=1)
    assert at.report.converged
    # A restarted GMRES takes ‖T(u)‖ from the start of its last space.
    assert at.report.residual == pytest.approx(float(sizes.max()), rel=1e-2)
    assert float(sizes.max()) < 1.01e-6


@pytest.mark.parametrize("adjoint", [GMRES(1e-12, 3), GMRES(1e-12, 8, memory=3), CG(1e-12, 3)])
def test_a_krylov_budget_is_kept_and_the_miss_reported(adjoint):
    T = Linear(matrix(40, 0.99, 1, symmetric=True), start(2, 40))
    report = adjoint(T, T.v).report
    assert T.products == report.applications == adjoint.budget
    assert report.converged is False
    assert report.residual > 1e-12


@pytest.mark.parametrize("adjoint", [GMRES(1e-9), CG(1e-9), Anderson(1e-9)])
def test_where_J_is_zero_the_adjoint_is_the_cotangent(adjoint):
    """hypertorch's CG returns 0 here."""
    T = Linear(torch.zeros(5, 5, dtype=F64), start(2, 5))
    torch.testing.assert_close(adjoint(T, T.v).x, T.v, rtol=1e-12, atol=0)


@pytest.mark.parametrize("adjoint", [GMRES(1e-9), CG(1e-9), Anderson(1e-9), Picard(1e-9)])
def test_a_cotangent_of_zero_has_the_adjoint_zero(adjoint):
    v = torch.zeros(3, 5, dtype=F64)
    v[1] = start(5)
    T = Linear(matrix(5, 0.9, 2, symmetric=True), v)
    found = adjoint(T, T.v)
    assert found.report.converged
    assert bool((found.x[[0, 2]] == 0).all())
    torch.testing.assert_close(T(found.x), found.x, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("adjoint", [GMRES(1e-6), CG(1e-6), Anderson(1e-6), Picard(1e-6)])
@pytest.mark.parametrize("power", [-60, 60])
def test_scaling_the_cotangent_scales_the_adjoint_to_the_bit(adjoint, power):
    M = matrix(12, 0.95, 5, symmetric=True)
    T, scaled = Linear(M, start(2, 12)), Linear(M, 2.0**power * start(2, 12))
    assert torch.equal(adjoint(scaled, scaled.v).x, 2.0**power * adjoint(T, T.v).x)


@given(seed=st.integers(0, 60))
def test_conjugate_gradients_keep_their_bound(seed):
    """THEORY C15, in the energy norm."""
    M = matrix(12, 0.95, seed, symmetric=True)
    values = torch.linalg.eigvalsh(torch.eye(12, dtype=F64) - M)
    kappa = math.sqrt(float(values[-1] / values[0]))
    v, A = start(1, 12), torch.eye(12, dtype=F64) - M
    exact = torch.linalg.solve(A, v[0])

    def energy(e):
        return math.sqrt(float(e @ A @ e))

    for k in (1, 3, 6):
        at = CG(1e-15, k)(T := Linear(M, v), T.v)
        assert energy(at.x[0] - exact) <= 2 * ((kappa - 1) / (kappa + 1)) ** k * energy(exact) * (1 + 1e-9)


@given(seed=st.integers(0, 60))
def test_conjugate_gradients_say_where_J_is_not_symmetric(seed):
    M = matrix(8, 0.9, seed)
    T = Linear(M, start(2, 8))
    report = CG(1e-8, 100)(T, T.v).report
    # Either it stops, with a residual that was measured, or what it claims is true.
    y = T((at := CG(1e-8, 100)(T, T.v)).x)
    true = float((torch.linalg.vector_norm(y - at.x, dim=1) / torch.linalg.vector_norm(y, dim=1)).max())
    assert report.converged is (true <= 1e-8)
    assert report.applications < 100


def test_a_start_of_ones_own_costs_a_product():
    M = matrix(6, 0.9, 0, symmetric=True)
    for adjoint in (GMRES(1e-10), CG(1e-10)):
        T = Linear(M, start(1, 6))
        at = adjoint(T, torch.ones(1, 6, dtype=F64))
        assert at.report.applications == T.products
        torch.testing.assert_close(T(at.x), at.x, rtol=1e-8, atol=1e-8)


# Pulls


@given(N=st.integers(0, 5), K=st.integers(1, 6), damping=st.sampled_from([0.25, 0.5, 1.0]))
def test_a_phantom_gradient_is_its_damped_series(N, K, damping):
    """At the equilibrium: λ Bᵀ Σ (λJᵀ + (1 − λ)I)^k v, with dense Jacobians."""
    T = Contraction()
    with torch.no_grad():
        star = Iterate(300)(T, start(6)).x
    v = star.clone()
    J = torch.autograd.functional.jacobian(T, star)
    P = damping * J.T + (1 - damping) * torch.eye(6, dtype=F64)
    u = damping * sum(torch.linalg.matrix_power(P, k) @ v for k in range(K))
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(T(star), list(T.parameters()), u)])
    found, solution = gradient(phantom(N, K, damping), T, star, lambda x: 0.5 * x.square().sum())
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    assert solution.applications == N + K


def test_an_undamped_phantom_is_restarted_jfb():
    assert phantom(30, 10, 1) == restarted_jfb(10, 3)


@given(K=st.integers(1, 12), segment=st.integers(0, 13))
def test_checkpoints_change_no_bit_and_count_what_they_repeat(K, segment):
    T = Contraction()
    plain, _ = gradient(unrolled(K), T, start(2, 6))
    counted = Counted(T)
    T.zero_grad()
    solution = checkpointed(K, segment)(counted, start(2, 6))
    (0.5 * solution.x.square().sum()).backward()
    found, _ = gradient(checkpointed(K, segment), T, start(2, 6))
    assert torch.equal(found, plain)
    assert solution.applications == counted.applications


def test_labels_are_the_calls_that_make_them():
    assert implicit(Anderson(1e-3), GMRES(1e-2)).label == "implicit(anderson(0.001), gmres(0.01))"
    assert (
        implicit(Iterate(40), Anderson(1e-6, memory=9)).label
        == "implicit(iterate(40), anderson(1e-06, memory=9))"
    )
    assert phantom(10, 5).label == "phantom(10, 5)"
    assert phantom(10, 5, 0.25).label == "phantom(10, 5, 0.25)"
    assert checkpointed(9).label == "checkpointed(9)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: implicit(GMRES(), Anderson()), "linear equations only"),
        (lambda: implicit(3, Anderson()), "forward must be a solve"),  # pyright: ignore
        (lambda: implicit(Anderson(), 3), "adjoint must be a solve"),  # pyright: ignore
        (lambda: phantom(3, 3, 0), "damping must be a positive"),
        (lambda: phantom(3, 3, 1.5), r"damping must lie in \(0, 1\]"),
        (lambda: checkpointed(0), "K must be at least 1"),
        (lambda: GMRES(0), "tol must be a positive"),
        (lambda: Nesterov(1e-3, 0), "budget must be at least 1"),
        (lambda: Shared(-1), "refine must be at least 0"),
    ],
)
def test_bad_arguments_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_adjoint_map_of_a_plain_map_does_not_pretend_to_be_divisible():
    x = start(2, 3).requires_grad_()
    assert type(adjoint_map(lambda x: 2 * x, x, 2 * x, x, None, [])) is AdjointMap


def test_anderson_forgets_a_nan_at_once():
    W = torch.diag(torch.linspace(0, 0.97, 16, dtype=F64))

    def run(broken: int):
        calls = 0

        def T(x):
            nonlocal calls
            calls += 1
            return x @ W + (1 if calls != broken else math.nan)

        return Anderson(1e-9)(T, start(1, 16)).report

    assert run(7).converged
    # The look that sees it, and the round that begins anew.
    assert run(7).applications <= run(0).applications + 9


def test_gmres_reports_a_true_residual_where_the_problem_is_hard():
    """The residual that is reported stays that of the point: eigenvalues of I − J from 1e-9 to 1."""
    values = 1 - torch.logspace(-9, 0, 60, dtype=F64)
    rotation = torch.linalg.qr(matrix(60, 1, 4)).Q
    T = Linear(rotation @ torch.diag(values) @ rotation.T, start(1, 60))
    at = GMRES(1e-13, 58, memory=58)(T, T.v)
    y = T(at.x)
    true = float(torch.linalg.vector_norm(y - at.x) / torch.linalg.vector_norm(y))
    assert at.report.residual == pytest.approx(true, rel=0.1)
