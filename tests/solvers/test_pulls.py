"""What the pulls give back, and the labels and refusals of what is composed of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from solvers import (
    GMRES,
    Anderson,
    FixedSteps,
    Nesterov,
    SharedInverse,
    checkpointed,
    implicit,
    phantom,
    restarted_jfb,
    unrolled,
)

# Not public: the adjoint map that every adjoint solver is given.
from solvers._adjoint.adjoint_map import TapedAdjoint, taped_adjoint
from solvers._core.tape import LeafVersions
from solvers.conformance import Contraction, CountedMap, gradient_of, start
from tests.helpers.tensors import F64


@given(N=st.integers(0, 5), K=st.integers(1, 6), damping=st.sampled_from([0.25, 0.5, 1.0]))
def test_a_phantom_gradient_is_its_damped_series(N, K, damping):
    """At the equilibrium: λ Bᵀ Σ (λJᵀ + (1 − λ)I)^k v, with dense Jacobians."""
    T = Contraction()
    with torch.no_grad():
        star = FixedSteps(300)(T, start(6)).x
    v = star.clone()
    J = torch.autograd.functional.jacobian(T, star)
    P = damping * J.T + (1 - damping) * torch.eye(6, dtype=F64)
    u = damping * sum(torch.linalg.matrix_power(P, k) @ v for k in range(K))
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(T(star), list(T.parameters()), u)])
    found, solution = gradient_of(phantom(N, K, damping), T, star, lambda x: 0.5 * x.square().sum())
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    assert solution.applications == N + K


def test_an_undamped_phantom_is_restarted_jfb():
    assert phantom(30, 10, 1) == restarted_jfb(10, 3)


@given(K=st.integers(1, 12), segment=st.integers(0, 13))
def test_checkpoints_change_no_bit_and_count_what_they_repeat(K, segment):
    T = Contraction()
    plain, _ = gradient_of(unrolled(K), T, start(2, 6))
    counted = CountedMap(T)
    T.zero_grad()
    solution = checkpointed(K, segment)(counted, start(2, 6))
    (0.5 * solution.x.square().sum()).backward()
    found, _ = gradient_of(checkpointed(K, segment), T, start(2, 6))
    assert torch.equal(found, plain)
    assert solution.applications == counted.applications


def test_labels_are_the_calls_that_make_them():
    assert implicit(Anderson(1e-3), GMRES(1e-2)).label == "implicit(anderson(0.001), gmres(0.01))"
    assert (
        implicit(FixedSteps(40), Anderson(1e-6, memory=9)).label
        == "implicit(iterate(40), anderson(1e-06, memory=9))"
    )
    assert phantom(10, 5).label == "phantom(10, 5)"
    assert phantom(10, 5, 0.25).label == "phantom(10, 5, 0.25)"
    assert checkpointed(9).label == "checkpointed(9)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: implicit(GMRES(), Anderson()), "linear equations only"),
        (lambda: implicit(3, Anderson()), "forward must be a callable"),  # pyright: ignore
        (lambda: implicit(Anderson(), 3), "adjoint must be a callable"),  # pyright: ignore
        (lambda: phantom(3, 3, 0), "damping must be a positive"),
        (lambda: phantom(3, 3, 1.5), r"damping must lie in \(0, 1\]"),
        (lambda: checkpointed(0), "K must be at least 1"),
        (lambda: GMRES(0), "tol must be a positive"),
        (lambda: Nesterov(1e-3, 0), "budget must be at least 1"),
        (lambda: SharedInverse(-1), "refine must be at least 0"),
    ],
)
def test_bad_arguments_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_adjoint_map_of_a_plain_map_does_not_pretend_to_be_divisible():
    x = start(2, 3).requires_grad_()
    assert type(taped_adjoint(lambda x: 2 * x, x, 2 * x, x, None, [], LeafVersions([]))) is TapedAdjoint
