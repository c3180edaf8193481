"""C40. The bias of K recorded layers of ``T_α``.

At the equilibrium z* of ``T_α``, ``‖g_K − F'‖ ≤ b δ_α^K ‖v‖/(1 − δ_α)`` with ``δ_α = |1 − α| + α δ(γ)``,
``b = ‖∂T_α/∂θ‖`` and ``v = ∇_z ℓ(x(z))`` at z*. This is S3(a) with the factor of C38: at γ* and α = 1 a layer reduces
the bias by ``(√κ − 1)/(√κ + 1)``, where one of forward–backward reduces it by ``(κ − 1)/(κ + 1)`` at best. The loss is
one of the image ``x(z)``, so v contains the derivative of ``prox_{γf}``.

Attained for A = I, ``γ(1 + ε) ≤ 1`` and α ≤ 1, where the Jacobian is ``δ_α I`` on the coefficients that ℓ1 keeps, by
the loss whose cotangent is the column of B with the largest norm.

Source: PROOFS S3 with C38 (Giselsson, Boyd, arXiv 1407.6723).
"""

from __future__ import annotations

import functools

import torch
from hypothesis import strategies as st
from torch import Tensor

from bench.operators import DouglasRachford
from solvers import GMRES, FixedSteps, Solver, implicit, neumann, restarted_jfb

from ..engine import Claim, Sides
from ..instances import two_norm
from ..instances.splittings import (
    SplitProblem,
    SplitSpec,
    averaged,
    build_split,
    identities,
    plain_penalties,
    ridges,
    scales,
    shares,
    split_equilibrium,
    split_penalties,
    weights,
)
from ..instances.variational import acquisitions, elastic_net_penalty, levels

EXACT = implicit(FixedSteps(0), GMRES(1e-13, 400))


@functools.lru_cache(maxsize=256)
def parameter_jacobian(spec: SplitSpec) -> Tensor:
    """B: the derivative of an application at the equilibrium in the log-weights, ``(n, p)``."""
    built, z = build_split(spec), split_equilibrium(spec)

    def apply(log_weights: Tensor) -> Tensor:
        parameters = {"prior.log_weights": log_weights}
        arguments = (z, built.data.y, built.data.physics)
        return torch.func.functional_call(built.operator, parameters, arguments).flatten()

    return torch.func.jacfwd(apply)(built.log_weights.detach()).flatten(1)


def loss_target(built: SplitProblem, z: Tensor, B: Tensor, worst: bool) -> Tensor:
    """The photograph; or the image at the equilibrium less the direction that B turns into the longest gradient."""
    if not worst:
        return built.data.truth
    direction = torch.linalg.svd(B, full_matrices=False).U[:, 0].view_as(z)
    assert isinstance(built.operator, DouglasRachford)
    with torch.no_grad():
        return built.image(z) - built.operator.prior.image(direction)


def gradient_at(built: SplitProblem, solver: Solver, z: Tensor, target: Tensor) -> Tensor:
    """The gradient of ``½‖x(z) − target‖²`` in the log-weights that the real solver produces, started at ``z``."""
    return built.gradient(0.5 * (built.image(solver(built.T, z).x) - target).square().sum())


def _sides(spec: SplitSpec, K: int, worst: bool, averages: bool = True) -> Sides:
    built, z, B = build_split(spec), split_equilibrium(spec), parameter_jacobian(spec)
    operator, target = built.operator, loss_target(built, z, B, worst)
    assert isinstance(operator, DouglasRachford)
    spectrum = built.data.alpha, built.data.beta
    factor = operator.contraction(spectrum) if averages else operator.argument_lipschitz(spectrum)
    start = z.clone().requires_grad_()
    (v,) = torch.autograd.grad(0.5 * (built.image(start) - target).square().sum(), start)
    exact = gradient_at(built, EXACT, z, target)
    error = max(
        two_norm(gradient_at(built, solver, z, target) - exact)
        for solver in (restarted_jfb(K, 0), neumann(0, K))
    )
    most = two_norm(B) * float(v.norm())
    return Sides(error, most * factor**K / (1 - factor), most / (1 - built.L))


kept = st.builds(elastic_net_penalty, weights, ridges, levels)

CLAIM = Claim(
    id="C40",
    statement="‖g_K − F'‖ ≤ b δ_α^K ‖v‖/(1−δ_α) at the equilibrium of T_α, δ_α = |1−α| + αδ(γ)",
    source="PROOFS S3; arXiv 1407.6723",
    assumptions="started at the equilibrium; f strongly convex, α < 2/(1+δ)",
    examples=st.tuples(
        st.one_of(
            st.builds(
                averaged, identities, kept, st.sampled_from((1.0, 0.3, 0.1)), st.sampled_from((0.25, 0.5))
            ),
            st.builds(averaged, acquisitions(), st.one_of(plain_penalties, split_penalties), scales, shares),
        ),
        st.integers(1, 10),
        st.booleans(),
    ),
    sides=_sides,
    negative_control=lambda spec, K, worst: _sides(spec, K, worst, averages=False),
    false_statement="the same with δ(γ) for δ_α, whatever α is",
    # Errors of two solves to 1e-13.
    rounding=1e-10,
    attained=True,
)
