"""Certificates without proved constants are estimates that say so."""

from __future__ import annotations

import math

import pytest
import torch

from solvers import (
    certified,
    deq,
    jfb,
    neumann,
    phantom,
)

# Not public: the monitor estimates constants with it.
from solvers._certificates.jacobian_norm import largest_singular_value
from solvers.conformance import Contraction, dense_oracle, quadratic, start
from tests.helpers.monitored import SMOOTH, Affine, Unknown, backpropagate, log_of


def test_without_constants_it_is_an_estimate_that_says_so():
    T = Contraction()
    monitor, log = log_of(phantom(40, 30), every=1, renew=2)
    gradient, _ = backpropagate(monitor, T)
    backpropagate(monitor, T)
    found = log[0][1]
    assert not found.rigorous
    assert "‖J‖ = 0.3032 is an estimate, of residual" in found.why
    assert "constants of the loss are estimates" in found.why
    assert pytest.approx(1 - (1 - 0.3032) / 2, abs=1e-3) == found.L
    error = float((gradient - dense_oracle(T, start(2, 6))).norm())
    assert error <= found.error <= 100 * error
    assert log[1][1].L == found.L


def test_estimates_are_renewed():
    T = Contraction()
    monitor, log = log_of(neumann(60, 60), every=1, renew=2)
    for _ in range(3):
        backpropagate(monitor, T)
        with torch.no_grad():
            T.s.mul_(0.8)
    first, second, third = (found.L for _, found in log)
    assert first == second
    assert third < first


@pytest.mark.parametrize("base", [Affine, Unknown])
def test_samples_that_have_converged_are_left_out_as_without_it(base):
    picked = []

    class Parted(base):
        def select(self, index):
            picked.append(len(index))
            return self.forward

    T = Parted()
    backpropagate(deq(1e-9), T, shape=(8, 6))
    plain = picked[:]
    monitor, _ = log_of(deq(1e-9), every=1)
    backpropagate(monitor, T, SMOOTH, shape=(8, 6))
    assert picked[len(plain) :] == plain != []


def test_the_curvature_of_a_loss_is_seen_doubled_and_makes_an_estimate():
    T = Affine()
    seen, log = log_of(neumann(10, 30), every=1)
    backpropagate(seen, T, quadratic)
    doubled, other = log_of(neumann(10, 30), every=1, smoothness=2.0)
    backpropagate(doubled, T, quadratic)
    (_, found), (_, expected) = log[0], other[0]
    assert found.error == pytest.approx(expected.error, rel=1e-6)
    assert expected.rigorous
    assert not found.rigorous
    assert found.why == "the constants of the loss are estimates"


def test_the_residual_of_lanczos_raises_its_value():
    T, x = Contraction(), start(2, 6)
    for _ in range(40):
        x = T(x).detach()
    value, residual = largest_singular_value(T, x, 1)
    assert residual > 0.1
    monitor, log = log_of(neumann(40, 3), every=1, steps=1)
    backpropagate(monitor, T)
    assert pytest.approx(1 - (1 - value * math.sqrt(1 + residual)) / 2, rel=1e-12) == log[0][1].L


def test_an_audit_takes_a_given_curvature_at_its_word():
    monitor, log = log_of(jfb(5), every=1, audit=True, smoothness=1.0)
    backpropagate(monitor, Affine(), quadratic)
    assert log[0][1].rigorous


def test_products_of_the_forward_pass_do_not_count():
    monitor, log = log_of(certified(1e-6), every=1)
    _, solution = backpropagate(monitor, Contraction())
    assert log[0][1].error <= 10 * solution.certificates[0].error
