"""C47. How far rounding in the filters of a convex ridge regulariser moves its minimiser.

Let x* minimise ``½‖x − y‖² + R(x)`` with a convex ridge regulariser R, and let ``G`` be the gradient of this at x, but
with ``z + δz`` for the coefficients ``z = W e^s x``. Then ``‖x − x*‖ ≤ ‖G‖ + e^{(α+b)/2−s} ‖δz‖/2``, since h is
monotone with slopes of at most e^b. A rounding of T by what δz changes, amplified by ``1/(1 − L)``, would be
``2 e^{(α+b)/2} ‖W‖`` times as large.

No minimiser is computed: y makes any x* one. The images x are at random, or along the eigenvector of ``e^α WᵀPW`` whose
eigenvalue is nearest to 1, where δz can undo what x changes: that attains it. The negative control is half of the
constant.

Source: PROOFS, ridge regularisers; this project. The regularisers are those of arXiv 2211.12461.
"""

from __future__ import annotations

import torch
from deepinv.physics import Denoising
from hypothesis import strategies as st
from torch import Tensor

from bench.operators.gradient_step import GradientStep
from bench.regularisers.ridge_bounds import RidgeBounds

from ..engine import Claim, Sides, conjunction
from ..instances import standard_normal, two_norm
from .c45_ridge_bounds import RidgeStep, bounds_of
from .c46_ridge_gain import steps


def displacement_sides(step: RidgeStep, spread: float, factor: float) -> Sides:
    """Both sides of C47, with ``factor`` times the constant."""
    R, best = step.regulariser(), step.image()
    y = best + R.gradient(best).detach()
    bounds = bounds_of(GradientStep(R, 0.5).bind(y, Denoising()), R)
    random = spread * standard_normal(step.seed + 3, *best.shape)
    pairs = [
        (random, spread * standard_normal(step.seed + 4, *bounds.chain.forward(best)[-1].shape)),
        _undone(bounds, best),
    ]
    return conjunction(*(_sides(bounds, best, y, *pair, factor) for pair in pairs))


def _sides(bounds: RidgeBounds, best: Tensor, y: Tensor, d: Tensor, moved: Tensor, factor: float) -> Sides:
    x, constant = best + d, bounds.displacement()
    assert constant is not None
    z = bounds.chain.forward(bounds.scale * x)[-1] + moved
    G = x - y + bounds.strength * bounds.chain.backward(bounds.potential.value(z))[0]
    allowed = two_norm(G.flatten()) * bounds.tau / (1 - bounds.L) + factor * constant * two_norm(
        moved.flatten()
    )
    return Sides(two_norm(d.flatten()), allowed, two_norm(d.flatten()))


def _undone(bounds: RidgeBounds, best: Tensor) -> tuple[Tensor, Tensor]:
    """A small move of x, and the one of z for which the gradient does not change."""
    z = bounds.chain.forward(bounds.scale * best)[-1]
    sloped = bounds.potential.steepness * (bounds.potential.first_linear(z) != 0).to(z)
    unit = torch.eye(best.numel(), dtype=best.dtype).view(-1, *best.shape[1:])
    rows = bounds.chain.forward(unit)[-1] * (bounds.strength * bounds.scale * sloped).sqrt()
    values, vectors = torch.linalg.eigh(rows.flatten(1) @ rows.flatten(1).T)
    nearest = int((values - 1).abs().argmin())
    d, value = 1e-8 * vectors[:, nearest].view_as(best), float(values[nearest])
    return d, -(1 + value) / value * bounds.chain.forward(bounds.scale * d)[-1] * (sloped > 0)


examples = st.tuples(steps, st.sampled_from((1e-4, 0.01, 1.0)))

CLAIM = Claim(
    id="C47",
    statement="‖x − x*‖ ≤ ‖G‖ + e^{(α+b)/2−s} ‖δz‖/2, G the gradient at x with z + δz",
    source="PROOFS, ridge regularisers; this project",
    assumptions="A = I; R convex, φ' piecewise linear",
    examples=examples,
    sides=lambda step, spread: displacement_sides(step, spread, 1.0),
    negative_control=lambda step, spread: displacement_sides(step, spread, 0.5),
    false_statement="the same for half the constant",
    attained=True,
)
