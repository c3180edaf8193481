"""C18. Restarted JFB is truncated back-propagation.

``g_{K,R} = ∂_θℓ + Σ_{k=K−1…0} B(x_k)ᵀ w_{k+1}``, ``w_k = J(x_k)ᵀ w_{k+1}``, ``w_K = ∂_xℓ(x_K)``, over the last
K of ``(R+1)K`` plain steps, here with dense Jacobians. With ``R = 0`` it is unrolling, with the whole tape
stored or recomputed in segments. An equality to rounding, which catches most wrong implementations.

Source: PROOFS S0.
"""

from __future__ import annotations

from hypothesis import strategies as st
from torch import Tensor

from solvers import checkpointed, restarted_jfb, unrolled

from ..engine import Claim, Sides
from ..instances import Case, cotangents, iterate, jacobians, solver_gradient, synthetic, two_norm
from ..instances.batches import batches


def truncated_backpropagation(case: Case, K: int, R: int) -> Tensor:
    """The gradient by back-propagation through the last K steps, with dense Jacobians, of shape ``(p,)``."""
    points = [iterate(case, R * K + k) for k in range(K + 1)]
    w, total = cotangents(case, points[-1])
    for x in reversed(points[:-1]):
        J, B = jacobians(case, x)
        total = total + B.T @ w
        w = J.T @ w
    return total


def _sides(case: Case, K: int, R: int, layers: int) -> Sides:
    truncated, whole = truncated_backpropagation(case, K, R), truncated_backpropagation(case, K, 0)
    gaps = [two_norm(solver_gradient(restarted_jfb(layers, R), case) - truncated)]
    gaps += [
        two_norm(solver_gradient(solver, case) - whole)
        for solver in (unrolled(layers), checkpointed(layers, R))
    ]
    return Sides(max(gaps), 0.0, two_norm(truncated) + two_norm(whole) + two_norm(case.x0))


CLAIM = Claim(
    id="C18",
    statement="g_{K,R} is back-propagation through the last K of (R+1)K steps; so is checkpointed, in segments",
    source="PROOFS S0",
    assumptions="T differentiable along the iteration",
    examples=st.tuples(st.one_of(synthetic.contractions, batches), st.integers(1, 8), st.integers(0, 4)),
    sides=lambda case, K, R: _sides(case, K, R, K),
    negative_control=lambda case, K, R: _sides(case, K, R, K + 1),
    false_statement="a layer more is the same",
    rounding=1e-13,
)
