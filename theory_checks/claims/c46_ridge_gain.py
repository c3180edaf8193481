"""C46. The gain of a convex ridge regulariser.

For ``T(x) = x − τ (Aᵀ(Ax − y) + ∇R(x))`` with a convex ridge regulariser R, and all x' within r of x,
``‖B(x')ᵀ (I − J(x')ᵀ)⁻¹‖``, B in all parameters of R, is at most the gain that ``RidgeBounds.change`` says. It rests on
``‖u‖ ≤ ‖r‖/(1 − L)`` and ``e^{−b/2} ‖P^½ W u‖ ≤ ‖r‖ e^{−(α+b)/2}/(2 √(τ (1 − L)))`` for ``u = (I − J(x')ᵀ)⁻¹ r``: R
curves where its coefficients have a slope.

Any w is such a u, for ``r = w − J(x')ᵀw``, so no system is solved: a random one, and ``∇R(x')``, which makes the left
side large. The negative control has no ``1/(1 − L)`` in the gain, which a flat direction refutes.

Source: PROOFS, ridge regularisers; this project. The regularisers are those of arXiv 2211.12461.
"""

from __future__ import annotations

from deepinv.physics import Denoising
from hypothesis import strategies as st
from torch import Tensor

from bench.operators.gradient_step import GradientStep
from bench.regularisers import RidgeRegulariser
from bench.regularisers.ridge_bounds import RidgeBounds
from solvers import Map

from ..engine import Claim, Sides, conjunction
from ..instances import standard_normal, two_norm
from ..instances.variational import seeds
from .c45_ridge_bounds import RidgeStep, bounds_of, pulled


def gain_sides(step: RidgeStep, spread: float, sharp: bool) -> Sides:
    """Both sides of C46; ``sharp`` for the gain alone, without its ``1/(1 − L)``."""
    R, x = step.regulariser(), step.image()
    T = GradientStep(R, 0.5).bind(x + 0.1 * standard_normal(step.seed + 2, *x.shape), Denoising())
    there = x + spread * standard_normal(step.seed + 3, *x.shape)
    bounds = bounds_of(T, R)
    gain = bounds.change(x, x, two_norm((there - x).flatten())).gain
    cotangents = (standard_normal(step.seed + 4, *x.shape), R.gradient(there).detach())
    if sharp:
        return conjunction(*(_gain(T, R, there, w, (1 - bounds.L) * gain) for w in cotangents))
    return conjunction(
        *(_gain(T, R, there, w, gain) for w in cotangents),
        *(side for w in cotangents for side in _adjoint_sizes(T, R, bounds, there, w)),
    )


def _gain(T: Map, R: RidgeRegulariser, x: Tensor, w: Tensor, gain: float) -> Sides:
    J, B = pulled(T, R, x, w)
    return Sides(two_norm(B), gain * two_norm(w.flatten() - J), two_norm(w.flatten()))


def _adjoint_sizes(
    T: Map, R: RidgeRegulariser, bounds: RidgeBounds, x: Tensor, w: Tensor
) -> tuple[Sides, Sides]:
    sizes = bounds.adjoint_sizes()
    assert sizes is not None
    size = two_norm(w.flatten())
    r = two_norm(w.flatten() - pulled(T, R, x, w)[0])
    z, along = (bounds.chain.forward(image)[-1] for image in (bounds.scale * x, w))
    sloped = two_norm((along * (bounds.potential.first_linear(z) != 0)).flatten())
    return Sides(size, sizes[0] * r, size), Sides(sloped, sizes[1] * r, size)


steps = st.builds(RidgeStep, st.just(0.0), st.booleans(), st.sampled_from((-0.5, 2.0, 4.0)), seeds)
examples = st.tuples(steps, st.sampled_from((1e-4, 0.01, 1.0)))

CLAIM = Claim(
    id="C46",
    statement="‖B'ᵀ(I − J'ᵀ)⁻¹‖ ≤ the gain of RidgeBounds, J' = J(x'), ‖x' − x‖ ≤ r",
    source="PROOFS, ridge regularisers; this project",
    assumptions="A linear with known singular values; R convex, φ' piecewise linear; L < 1",
    examples=examples,
    sides=lambda step, spread: gain_sides(step, spread, False),
    negative_control=lambda step, spread: gain_sides(step, spread, True),
    false_statement="the same for (1 − L) times the gain",
)
