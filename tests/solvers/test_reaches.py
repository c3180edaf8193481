"""The ways to reach an equilibrium and to solve the adjoint equation, each held to what it promises."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import (
    GMRES,
    Anderson,
    FixedSteps,
    ImplicitDifferentiation,
    Nesterov,
    Picard,
    QuasiNewton,
    SharedInverse,
    Solver,
    implicit,
    neumann,
)
from solvers.conformance import Contraction, dense_oracle, gradient_of, relative_error, start
from tests.helpers.known_maps import matrix
from tests.helpers.tensors import F64

REACHES = [
    Picard(1e-10),
    Nesterov(1e-10),
    Anderson(1e-10),
    QuasiNewton(1e-10),
    Anderson(1e-10, memory=1, every=1),
]


@dataclass(frozen=True)
class Rates:
    """``x -> r x + 1`` with rates r, a row a sample, entry by entry; it can leave samples out and counts their rows."""

    rates: torch.Tensor
    seen: list[int]

    def __call__(self, x):
        self.seen.append(len(x))
        return self.rates * x + 1

    def select(self, index):
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
    assert divided.report.active_fraction == pytest.approx(sum(seen) / (4 * len(seen)))
    assert (seen[0], seen[-1]) == (4, 1)
    together = Rates(slow, whole := [])
    plain = reach(lambda x: together(x), start(4, 9))
    assert set(whole) == {4}
    assert plain.report.active_fraction == 1.0
    torch.testing.assert_close(divided.x, plain.x, rtol=1e-9, atol=1e-12)


class Divided(Contraction):
    """The contraction of the conformance suite, with measurements of each sample's own that can be left out."""

    def __init__(self, shift: torch.Tensor) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, x):
        return super().forward(x) + self.shift

    def select(self, index):
        picked = Divided(self.shift[index])
        picked.theta, picked.c, picked.s = self.theta, self.c, self.s
        return picked


@pytest.mark.parametrize("adjoint", [Picard(1e-11), Anderson(1e-11)])
def test_the_adjoint_leaves_samples_out_too_and_says_what_that_cost(adjoint):
    T = Divided(torch.linspace(0, 2, 24, dtype=F64).view(4, 6))
    # Cotangents of three samples are as good as 0: the Neumann series of these ends at once.
    weight = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=F64)[:, None]
    solver = Solver("divided", FixedSteps(200), ImplicitDifferentiation(adjoint))
    found, solution = gradient_of(solver, T, start(4, 6), lambda x: (weight * x * x).sum())
    expected, _ = gradient_of(
        implicit(FixedSteps(200), GMRES(1e-13)), T, start(4, 6), lambda x: (weight * x * x).sum()
    )
    assert relative_error(found, expected) < 1e-9
    assert solution.recomputed == [0.25]
    assert solution.applications == 200 + 1 + 1
    assert solution.adjoint[0].active_fraction < 0.5


def test_an_application_taped_again_is_counted():
    seen: list[int] = []

    class Seen(Divided):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    T = Seen(torch.zeros(4, 6, dtype=F64))
    T.select = lambda index: (
        lambda x, shift=T.shift[index]: (seen.append(len(x)), Contraction.forward(T, x) + shift)[1]
    )  # pyright: ignore
    weight = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=F64)[:, None]
    solution = Solver("s", FixedSteps(20), ImplicitDifferentiation(Anderson(1e-8)))(T, start(4, 6))
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


@pytest.mark.parametrize("reach", [Nesterov(1e-9, 3000), Anderson(1e-9, 3000), QuasiNewton(1e-9, 3000)])
@settings(max_examples=10)
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
        relative_error(gradient_of(implicit(reach, SharedInverse(k)), T, start(1, 6))[0], exact)
        for k in (0, 2, 8)
    ]
    jfb = relative_error(gradient_of(neumann(100, 1), T, start(1, 6))[0], exact)
    assert errors[0] < 0.5 * jfb
    assert errors[2] < errors[1] < errors[0]


def test_sharing_needs_something_to_share():
    with pytest.raises(ValueError, match="shared=True"):
        gradient_of(implicit(Anderson(1e-6), SharedInverse()), Contraction(), start(2, 6))


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


def test_the_inverse_that_is_shared_of_a_sample_is_the_one_it_would_have_alone():
    """A sample that ends first keeps what was learned of it: later applications at its end teach nothing."""
    rates = torch.tensor([0.2, 0.97, 0.6], dtype=F64)[:, None] * torch.linspace(0, 1, 9, dtype=F64)
    reach, v = Anderson(1e-8, shared=True), start(3, 9).square()
    together = reach(lambda x: rates * x + 1, start(3, 9))
    assert together.inverse is not None
    for i in range(3):
        alone = reach(lambda x, i=i: rates[i : i + 1] * x + 1, start(3, 9)[i : i + 1])
        assert alone.inverse is not None
        torch.testing.assert_close(
            together.inverse(v)[i : i + 1], alone.inverse(v[i : i + 1]), rtol=1e-6, atol=1e-6
        )
