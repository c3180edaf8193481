"""Learning, certificates, damping, conjugate gradients, momentum: the claims, and what they must not be taken for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from solvers import restarted_jfb
from theory_checks.claims import (
    c12_learning,
    c14_damping,
    c15_conjugate_gradients,
    c22_momentum,
    c24_look_ahead,
    c25_local_certificate,
)
from theory_checks.claims.c15_conjugate_gradients import chebyshev_spectrum
from theory_checks.claims.c22_momentum import heavy_ball, largest_eigenvalue_modulus, lyapunov_factor
from theory_checks.claims.c25_local_certificate import curved, radius, residual_and_slope, why_no_certificate
from theory_checks.claims.certified_runs import certificate_of_run, look_ahead, run_solver
from theory_checks.engine.inequality import Sides, holds, side_ratio
from theory_checks.instances import synthetic
from theory_checks.instances.exact import iterate, jacobians, solve_exactly, two_norm
from theory_checks.instances.synthetic import F64, AffineMap, Case, ParametricMap, standard_normal


def tight(sides: Sides) -> bool:
    return holds(sides, 1e-11) and side_ratio(sides, 1e-11) >= 0.99


# --- the parts of a claim that a verdict shows only together


def test_each_part_of_learning_is_attained():
    isotropic = synthetic.isotropic(3, 0.5, 0)
    distance, step, _, _ = c12_learning.learning_inequalities(isotropic, restarted_jfb(2, 2), 1.0, 4, False)
    assert tight(distance)
    assert tight(step)
    # A single parameter cannot fit: the error does not vanish at the minimum, and there is a floor.
    single = synthetic.affine(3, 1, 0.5, 3)
    _, _, stationarity, rate = c12_learning.learning_inequalities(single, restarted_jfb(1, 2), 1.0, 40, True)
    assert tight(rate)
    assert holds(stationarity, 1e-11)
    assert side_ratio(stationarity, 1e-11) > 0.95


def test_objective_of_learning_is_the_bilevel_one():
    case = synthetic.affine(3, 2, 0.8, 7)
    assert isinstance(case.T, AffineMap)
    F, e = c12_learning.bilevel_objective(case.T, case), solve_exactly(case)
    theta = case.T.theta.detach()
    torch.testing.assert_close(F.gradient(theta), e.gradient)
    assert F(theta) == pytest.approx(float(case.loss(e.x, theta)))


def test_both_bounds_with_look_ahead_are_attained():
    case = synthetic.isotropic(3, 0.5, 0)
    case = replace(case, x0=solve_exactly(case).x)
    for m in (0, 1, 5):
        assert all(tight(sides) for sides in c24_look_ahead._both(case, restarted_jfb(2, 0), m, m))


def test_look_ahead_measures_the_bias():
    case = synthetic.tanh(4, 3, 0.8, 1)
    found, e = run_solver(restarted_jfb(3, 25), case), solve_exactly(case)
    error = two_norm(found.gradient - e.gradient)

    def effectivity(m):
        correction, corrected = look_ahead(case, found, m)
        return (two_norm(correction) + certificate_of_run(case, corrected).error) / error

    assert 1 <= effectivity(60) < 1.001 < effectivity(0)
    _, corrected = look_ahead(case, found, 60)
    assert two_norm(corrected.gradient - e.gradient) < 1e-4 * error


@pytest.mark.parametrize("y", [-1.5, -0.5])
def test_both_local_bounds_are_attained_on_a_parabola(y):
    assert all(tight(sides) for sides in c25_local_certificate._both(curved(0.5, 0.3, y), 0, 2))


def test_conjugate_gradients_end_after_as_many_steps_as_eigenvalues():
    case = chebyshev_spectrum(4, 0.95, 0, True)
    e = solve_exactly(case)
    assert two_norm(c15_conjugate_gradients.conjugate_gradients(case, 4)[0] - e.u) < 1e-10 * two_norm(e.u)


def test_lyapunov_norm_contracts_where_the_euclidean_one_does_not():
    J = solve_exactly(heavy_ball(3, 20.0, 0.8, 0.8, 0)).J
    s = (1 + largest_eigenvalue_modulus(J)) / 2
    C = lyapunov_factor(J, s)
    assert two_norm(J) > 1
    assert two_norm(C @ J @ torch.linalg.inv(C)) < s < 1


def test_damping_repairs_no_claim_about_an_expansion():
    # 1 − λ(1−L) is above 1 exactly where L is: the bound says nothing, and nothing is reached.
    case = synthetic.isotropic(2, 1.1, 0)
    damped = c14_damping._damped(case, 0.5)
    x, y = case.x0, standard_normal(9, 2)
    with torch.no_grad():
        assert two_norm(damped(x) - damped(y)) == pytest.approx(1.05 * two_norm(x - y))


# --- wrong certificates


def local_slope(case: Case, K: int, R: int) -> float:
    return two_norm(jacobians(case, iterate(case, K * (R + 1)))[0])


WRONG = {
    "without M_B": (synthetic.scaling(0.5, 2.0, -2.0), lambda case, _: replace(case, M_B=0.0)),
    "without M_J": (synthetic.bent(0.8, 0.5, 1.0), lambda case, _: replace(case, M_J=0.0)),
    "L measured at the point": (
        synthetic.bent(0.8, 0.5, 1.0),
        lambda case, depth: replace(case, L=local_slope(case, *depth)),
    ),
    "L the spectral radius": (
        synthetic.affine(3, 2, 0.9, 2),
        lambda case, _: replace(case, L=largest_eigenvalue_modulus(solve_exactly(case).J)),
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_certificate_with_a_wrong_constant_is_violated(wrong):
    case, spoil = WRONG[wrong]
    violations = 0
    for depth in ((1, 0), (2, 0), (4, 0)):
        found = run_solver(restarted_jfb(*depth), case)
        error = two_norm(found.gradient - solve_exactly(case).gradient)
        assert error <= certificate_of_run(case, found).error * (1 + 1e-9)
        violations += error > 1.01 * certificate_of_run(spoil(case, depth), found).error
    assert violations


# --- where a local estimate misleads


def test_four_in_the_discriminant_is_implied_and_not_attained():
    case = curved(0.5, 0.3, -0.5)
    r, slope = residual_and_slope(case)
    assert solve_exactly(case).distance == pytest.approx(radius(r, slope, case.M_J))
    assert radius(r, slope, case.M_J) < 0.9 * radius(r, slope, case.M_J, 4)


def test_local_slope_taken_for_a_global_one_bounds_nothing():
    case = curved(0.5, 0.3, -1.0)
    r, slope = residual_and_slope(case)
    error = solve_exactly(case).distance
    assert slope < 1
    assert r / (1 - slope) < 0.9 * error
    assert error <= radius(r, slope, case.M_J) * (1 + 1e-12)


def test_contraction_at_the_point_is_no_contraction_at_the_equilibrium():
    # Slope 0.3 at y = −0.9, and 1.2 at the fixed point 0.
    case = curved(1.2, 1.0, -0.9)
    r, slope = residual_and_slope(case)
    assert slope < 1
    assert jacobians(case, torch.zeros(1, dtype=F64))[0].item() > 1
    # What is certified is the other fixed point, −0.4, at the edge of the ball; 0 is outside it.
    assert solve_exactly(case).x.item() == pytest.approx(-0.4)
    assert radius(r, slope, case.M_J) == pytest.approx(0.5)


def test_certificate_refuses_where_there_is_no_equilibrium():
    # x + (x² + 1)/2 has none, and a slope of 0.5 at y = −0.5.
    case = Case(
        "none",
        Parabola(),
        torch.tensor([-0.5], dtype=F64),
        synthetic.bent(0.5, 1.0, 0.0).loss,
        float("inf"),
        1.0,
        0.0,
    )
    assert residual_and_slope(case)[1] == pytest.approx(0.5)
    assert "discriminant" in str(why_no_certificate(case))


class Parabola(ParametricMap):
    """``x + (x² + θ)/2`` at θ = 1: no fixed point."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.ones(1, dtype=F64))

    def forward(self, x):
        return x + (x.square() + self.theta) / 2


def test_certificate_refuses_a_slope_above_one():
    assert "not below 1" in str(why_no_certificate(curved(1.2, 1.0, 0.5)))


def test_momentum_that_diverges_is_outside():
    assert "does not converge" in str(c22_momentum.CLAIM.outside(heavy_ball(2, 5.0, 0.5, 1.1, 0), 3, 0.5))
