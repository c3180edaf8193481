"""A Krylov space of the adjoint that is continued."""

import pytest
import torch

from solvers._adjoint.adjoint_map import TapedAdjoint
from solvers._certificates.adjoint_space import AdjointSpace


def adjoint(batch=2, size=24, dtype=torch.float64, seed=0):
    """The adjoint operator of a contraction with another Jacobian for each sample, which is not symmetric."""
    rng = torch.Generator().manual_seed(seed)
    J = torch.randn(batch, size, size, generator=rng, dtype=torch.float64)
    J = (0.9 * J / torch.linalg.matrix_norm(J, 2)[:, None, None]).to(dtype)
    x = torch.randn(batch, size, generator=rng, dtype=torch.float64).to(dtype).requires_grad_()
    v = torch.randn(batch, size, generator=rng, dtype=torch.float64).to(dtype)
    return TapedAdjoint(x, (J @ x[..., None])[..., 0], v, None)


def residual(T, u):
    return float((T(u) - u).norm())


def test_its_claim_is_the_measured_residual():
    T = adjoint()
    space = AdjointSpace(T, None, None, 20)
    for target in (1.0, 1e-1, 1e-3):
        space.grow(target * float(T.v.norm()), 20)
        assert space.residual == pytest.approx(residual(T, space.point), rel=1e-6)
        assert space.relative == pytest.approx(space.residual / float(T(space.point).norm()), rel=1e-6)


def test_continued_it_costs_what_it_costs_in_one_go():
    T = adjoint()
    target = 1e-3 * float(T.v.norm())
    parts, whole = AdjointSpace(T, None, None, 24), AdjointSpace(T, None, None, 24)
    products = parts.grow(1e-1 * float(T.v.norm()), 24)
    assert 0 < products < whole.grow(target, 24)
    products += parts.grow(target, 24)
    assert products == whole.grow(0.0, 0) + whole._k
    assert torch.equal(parts.point, whole.point)


def test_it_starts_at_a_known_adjoint():
    T = adjoint()
    near = AdjointSpace(T, None, None, 24)
    near.grow(1e-2 * float(T.v.norm()), 24)
    u = near.point
    measured, known = AdjointSpace(T, u, None, 24), AdjointSpace(T, u, T.linear(u), 24)
    assert (measured.started, known.started) == (1, 0)
    assert measured.residual == pytest.approx(near.residual, rel=1e-6)
    assert known.continues(u, T.linear(u))
    for space in (measured, known):
        space.grow(1e-4 * float(T.v.norm()), 24)
        assert space.residual == pytest.approx(residual(T, space.point), rel=1e-5)
        assert space.relative == pytest.approx(space.residual / float(T(space.point).norm()), rel=1e-5)


def test_a_claim_that_rounding_has_overtaken_is_not_continued():
    T = adjoint(dtype=torch.float32)
    space = AdjointSpace(T, None, None, 24)
    space.grow(1e-12 * float(T.v.norm()), 24)
    assert not space.continues(space.point, T.linear(space.point))


def test_a_product_that_is_not_finite_fills_it():
    T = adjoint()
    space = AdjointSpace(TapedAdjoint(T.x, T.y * torch.inf, T.v, None), None, None, 24)
    space.grow(1e-3, 24)
    assert space.full
    assert bool(space.point.isnan().any())


@pytest.mark.parametrize("scale", [2.0**-700, 2.0**700])
def test_a_multiple_of_the_cotangent_has_the_multiple_of_the_adjoint(scale):
    T = adjoint()
    scaled = TapedAdjoint(T.x, T.y, T.v * scale, None)
    one, other = AdjointSpace(T, None, None, 24), AdjointSpace(scaled, None, None, 24)
    one.grow(1e-3, 24)
    other.grow(1e-3 * scale, 24)
    assert torch.equal(one.point * scale, other.point)
    assert other.residual == one.residual * scale
