"""C45. Bounds on the derivatives of a gradient step on a ridge regulariser.

For ``T(x) = x − τ (Aᵀ(Ax − y) + ∇R(x))`` with a convex or weakly convex ridge regulariser R, and all x' within r of x,
the changes of ``Jᵀu`` and of ``Bᵀu``, B in all parameters of R, and ``‖B(x')ᵀu‖/‖u‖`` are at most what
``RidgeBounds.change`` says. ``φ'`` has kinks: coefficients that the ball moves across one change J by a jump, all of
them together by at most ``τ e^α min(‖W‖ (Σ p² q²)^½, Σ p |q| ‖W_i‖)``, where the sums are the largest over sets with
``Σ gap² ≤ ‖W‖² e^{2s} r²``.

The pairs lie on both sides of the nearest kink of one coefficient, with the cotangent that sees it most, and at random.
A single flip attains the bound on J. The negative control is the same for a ball of 0.4 of the radius, which does not
reach the kink.

Source: PROOFS, ridge regularisers; this project. The regularisers are those of arXiv 2211.12461 and 2308.10542.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deepinv.physics import Denoising
from hypothesis import strategies as st
from torch import Tensor

from bench.operators.base import BoundOperator
from bench.operators.gradient_step import GradientStep
from bench.regularisers import RidgeRegulariser
from bench.regularisers.ridge_bounds import RidgeBounds
from solvers import Map

from ..engine import Claim, Sides, conjunction
from ..instances import standard_normal, two_norm
from ..instances.variational import seeds

SIDE = 7


@dataclass(frozen=True, slots=True)
class RidgeStep:
    """A gradient step for denoising one image, with random weights.

    Attributes:
        weak, circular: of the regulariser.
        steepness: b.
        seed: of weights, image and noise.
    """

    weak: float
    circular: bool
    steepness: float
    seed: int

    def regulariser(self) -> RidgeRegulariser:
        """With scalings that lie around those of the start."""
        R = RidgeRegulariser(self.weak, self.circular, torch.Generator().manual_seed(self.seed))
        with torch.no_grad():
            R.strength.fill_(-1.0)
            R.scale.fill_(0.3)
            R.steepness.fill_(self.steepness)
            R.scalings.add_(0.5 * standard_normal(self.seed, *R.scalings.shape))
        return R

    def image(self) -> Tensor:
        """Of ``SIDE`` × ``SIDE``."""
        return 0.5 + 0.3 * standard_normal(self.seed + 1, 1, 1, SIDE, SIDE)


def bounds_of(T: Map, R: RidgeRegulariser) -> RidgeBounds:
    """The bounds of a step on R, also where L is not below 1."""
    assert isinstance(T, BoundOperator)
    assert isinstance(T.operator, GradientStep)
    bounds = RidgeBounds.of(T.operator.step(), R, T.data)
    assert bounds is not None
    return bounds


def across_a_kink(R: RidgeRegulariser, x: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images on both sides of the ``rank``-th nearest first kink, and the direction between them."""
    W, start = R.chain(), x.clone().requires_grad_()
    z = R.scalings.exp() * W.forward(R.scale.exp() * start)[-1]
    gaps = ((R.steepness.exp() * z).abs() - 1).flatten()
    rows = (R.scalings.exp() * W.row_norms(SIDE, SIDE)).flatten()
    near = (gaps.abs() / rows).detach().argsort()[rank]
    (slope,) = torch.autograd.grad(gaps[near], start)
    kink = x - slope * gaps[near].detach() / slope.square().sum()
    direction = slope / slope.norm()
    return kink - 1e-7 * direction, kink + 1e-7 * direction, direction


def ridge_sides(step: RidgeStep, rank: int, spread: float, part: float) -> Sides:
    """Both sides of C45, for bounds on a ball of ``part`` of the distance between the images."""
    R = step.regulariser()
    x = step.image()
    T = GradientStep(R, 0.5).bind(x + 0.1 * standard_normal(step.seed + 2, *x.shape), Denoising())
    far = x + spread * standard_normal(step.seed + 3, *x.shape)
    pairs = [across_a_kink(R, x, rank), (x, far, standard_normal(step.seed + 4, *x.shape))]
    return conjunction(*(side for pair in pairs for side in _pair_sides(T, R, *pair, part)))


def _pair_sides(
    T: Map, R: RidgeRegulariser, a: Tensor, b: Tensor, u: Tensor, part: float
) -> tuple[Sides, ...]:
    found = bounds_of(T, R).change(a, u, part * two_norm((b - a).flatten()))
    (J, B), (J_there, B_there) = pulled(T, R, a, u), pulled(T, R, b, u)
    size = two_norm(u.flatten())
    return (
        Sides(two_norm(J_there - J), found.J, size),
        Sides(two_norm(B_there - B), found.B, size),
        Sides(two_norm(B_there), found.size * size, size),
    )


def pulled(T: Map, R: RidgeRegulariser, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """``Jᵀu`` and ``Bᵀu`` at ``x``, flat."""
    x = x.clone().requires_grad_()
    J, *B = torch.autograd.grad(T(x), [x, *R.parameters()], u)
    return J.flatten(), torch.cat([part.flatten() for part in B])


steps = st.builds(
    RidgeStep, st.sampled_from((0.0, 1.0)), st.booleans(), st.sampled_from((-0.5, 2.0, 4.0)), seeds
)
examples = st.tuples(steps, st.integers(0, 20), st.sampled_from((1e-4, 0.01, 1.0)))

CLAIM = Claim(
    id="C45",
    statement="‖(J' − J)ᵀu‖, ‖(B' − B)ᵀu‖, ‖B'ᵀu‖ ≤ those of RidgeBounds, J' = J(x'), ‖x' − x‖ ≤ r",
    source="PROOFS, ridge regularisers; this project",
    assumptions="A linear with known singular values; φ' piecewise linear",
    examples=examples,
    sides=lambda step, rank, spread: ridge_sides(step, rank, spread, 1.0),
    negative_control=lambda step, rank, spread: ridge_sides(step, rank, spread, 0.4),
    false_statement="the same for ‖x' − x‖ ≤ r/0.4",
    attained=True,
)
