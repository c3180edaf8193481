"""A gradient that goes on until its certificate is met."""

from __future__ import annotations

import math
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from solvers import SmoothLoss, StagnationWarning, certified, deq, restarted_jfb
from solvers.conformance import Contraction, CountedMap, dense_oracle, quadratic, relative_error, start
from tests.helpers.known_maps import SMOOTH, Known, gradient


class Hidden(nn.Module):
    """The same without its constants."""

    def __init__(self, T: nn.Module) -> None:
        super().__init__()
        self.T = T

    def forward(self, x: Tensor) -> Tensor:
        """One application."""
        return self.T(x)


@given(st.integers(0, 10_000), st.sampled_from((1e-1, 1e-2, 1e-4, 1e-7)), st.sampled_from((0.5, 0.9, 0.99)))
def test_a_certificate_that_is_met_is_kept(seed: int, rtol: float, L: float):
    T, x0 = Known(seed, L=L), start(2, 5)
    found, solution = gradient(T, certified(rtol), x0)
    (certificate,) = solution.certificates
    exact = dense_oracle(T, x0)
    error = float(torch.linalg.vector_norm(found - exact))
    assert solution.converged
    assert certificate.rigorous
    assert error <= certificate.error <= rtol * float(torch.linalg.vector_norm(exact))
    assert certificate.relative <= rtol


def test_it_spends_less_on_less():
    T, x0 = Known(3, n=80, L=0.97), start(2, 80)
    spent = []
    for rtol in (1e-1, 1e-2, 1e-4, 1e-8):
        _, solution = gradient(T, certified(rtol), x0)
        spent.append(solution.applications + solution.vjps)
    assert spent == sorted(spent)
    assert spent[0] < 0.6 * spent[-1]


@pytest.mark.parametrize("budget", [1, 5, 20, 40])
def test_a_budget_is_kept_and_its_end_is_told(budget: int):
    T = Known(1, n=40, L=0.999)
    _, solution = gradient(T, certified(1e-8, budget), start(2, 40))
    assert not solution.converged
    assert solution.certificates[0].relative > 1e-8
    # The first adjoint solve and the measurement of what was reached come on top.
    assert solution.applications + solution.vjps <= budget + 12


def test_the_tape_does_not_grow_with_the_depth():
    class Saved:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor

    def saved(solver) -> int:
        alive: list[weakref.ref[Saved]] = []

        def pack(tensor: Tensor) -> Saved:
            kept = Saved(tensor.detach())
            alive.append(weakref.ref(kept))
            return kept

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
            solution = solver(Known(2, n=30, L=0.98), start(2, 30), SMOOTH)
        assert solution.x.requires_grad
        return sum(kept.tensor.numel() for ref in alive if (kept := ref()) is not None)

    assert saved(certified(1e-1)) == saved(certified(1e-9)) > 0, "one application, the point, and its adjoint"
    assert saved(restarted_jfb(9, 1)) > saved(restarted_jfb(5, 1)), "the count sees a tape"


def test_without_a_loss_it_assumes_and_says_so():
    T, x0 = Known(4), start(2, 5)
    found, solution = gradient(T, certified(1e-3), x0, told=None)
    (certificate,) = solution.certificates
    assert not certificate.rigorous
    assert "no loss" in certificate.why
    assert relative_error(found, dense_oracle(T, x0)) <= 1e-3


def test_a_loss_of_unknown_constants_makes_an_estimate():
    T, x0 = Known(4), start(2, 5)
    found, solution = gradient(T, certified(1e-3), x0, told=quadratic)
    assert not solution.certificates[0].rigorous
    assert "loss" in solution.certificates[0].why
    assert relative_error(found, dense_oracle(T, x0)) <= 1e-3


def test_a_map_of_unknown_constants_makes_an_estimate():
    T, x0 = Hidden(Known(4)), start(2, 5)
    found, solution = gradient(T, certified(1e-3), x0)
    assert not solution.certificates[0].rigorous
    assert relative_error(found, dense_oracle(T, x0)) <= 1e-3


def test_another_loss_than_the_one_told_is_solved_for_again():
    T, x0 = Known(5), start(2, 5)
    flipped = SmoothLoss(lambda x: 0.5 * (x + 3).square().sum(), 1.0)
    found, solution = gradient(T, certified(1e-6), x0, loss=flipped)
    assert relative_error(found, dense_oracle(T, x0, flipped)) <= 1e-5
    assert not solution.certificates[0].rigorous, "the certificate is that of the loss which came back"


def test_a_loss_in_other_units_costs_nothing_more():
    T, x0 = Known(5), start(2, 5)
    plain, one = gradient(T, certified(1e-4), x0)
    scaled, two = gradient(T, certified(1e-4), x0, loss=lambda x: -1e5 * quadratic(x))
    assert relative_error(scaled, -1e5 * plain) <= 1e-12
    assert two.vjps == one.vjps


def test_backward_can_be_done_twice():
    T = Known(5)
    solution = certified(1e-4)(T, start(2, 5), SMOOTH)
    loss = quadratic(solution.x)
    (once,) = torch.autograd.grad(loss, T.theta, retain_graph=True)
    (again,) = torch.autograd.grad(loss, T.theta)
    assert torch.equal(once, again)


def test_a_loss_that_sees_the_parameters_counts_in_full():
    T, x0 = Known(6), start(2, 5)

    def loss(x: Tensor) -> Tensor:
        return quadratic(x) + (T.theta.square().sum() * x.square().sum())

    told = SmoothLoss(loss, 1 + 2 * float(T.theta.detach().square().sum()), 100.0)
    T.zero_grad()
    solution = certified(1e-4)(T, x0, told)
    loss(solution.x).backward()
    exact, x = dense_oracle(T, x0, loss), deq(1e-13)(T, x0).x.detach()
    exact = exact + 2 * T.theta.detach() * x.square().sum()
    assert T.theta.grad is not None
    error = float(torch.linalg.vector_norm(T.theta.grad - exact))
    assert error <= solution.certificates[0].error <= 1e-4 * float(torch.linalg.vector_norm(exact))
    assert solution.certificates[0].size == pytest.approx(float(torch.linalg.vector_norm(exact)), rel=1e-3)


def test_no_contraction_no_certificate():
    T = Known(7, L=0.9)
    T.L = 1.0
    found, solution = gradient(T, certified(1e-3), start(2, 5))
    (certificate,) = solution.certificates
    assert certificate.relative == math.inf
    assert "L = 1" in certificate.why
    assert not solution.converged
    assert relative_error(found, dense_oracle(T, start(2, 5))) <= 1e-3, "the gradient itself is a good one"


def test_single_precision_ends_at_its_rounding():
    T = Contraction(dtype=torch.float32)
    with pytest.warns(StagnationWarning, match=r"in float32: solve in float64, or ask for an rtol of 0\.0"):
        solution = certified(1e-12)(T, start(2, 6, dtype=torch.float32), quadratic)
    assert not solution.converged
    assert 1e-12 < solution.certificates[0].relative < 1e-2
    assert solution.applications < 200


def test_values_are_those_without_gradients():
    T = Known(8)
    with torch.no_grad():
        plain = certified(1e-2)(T, start(2, 5))
    assert torch.equal(plain.x, certified(1e-2)(T, start(2, 5)).x.detach())


def test_everything_is_counted():
    counted = CountedMap(Known(9))
    solution = certified(1e-5)(counted, start(2, 5), quadratic)
    quadratic(solution.x).backward()
    assert (solution.applications, solution.vjps) == (counted.applications, counted.vjps)
