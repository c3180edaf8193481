"""C20. The gradient in a step size vanishes at equilibrium.

The fixed point of a forward–backward step does not depend on τ, so the exact derivative in τ is 0. Every
estimator returns 0 if it starts at the equilibrium, because ``∂T/∂τ(x*) = 0``. Elsewhere restarted JFB returns
a truncation error, ``|g_{K,R}| ≤ K L^{K−1} M_B δ (‖v‖ + Λ L^K δ)`` with ``δ = L^{KR} ‖x⁰ − x*‖``, which is the
bound S5 with b = 0 and M_J = 0.

The second part is checked for the ridge penalty alone, where all constants are exact:
``∂T/∂log τ = −τ((AᵀA + γI)x − (Aᵀy + γ/2))/(1 + τγ)²``, so that ``M_B = τ(β + γ)/(1 + τγ)²``. It is attained
for A = I, τ ≤ 1, and a loss whose target is the mirror image of the start in x*. The first part is checked for
every penalty.

Source: PROOFS S5, S11.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from hypothesis import strategies as st
from torch import Tensor

from solvers import Solver, deq, jfb, neumann, restarted_jfb

from ..engine import Claim, Sides
from ..instances.variational import (
    Acquisition,
    Identity,
    VariationalProblem,
    VariationalSpec,
    acquisitions,
    build_variational,
    differentiate,
    distance,
    equilibrium,
    penalties,
    positive_ridges,
    tikhonov_penalty,
)


@dataclass(frozen=True, slots=True)
class TruncatedRun:
    """Restarted JFB with the ridge penalty. ``mirror`` selects the loss that attains the bound."""

    acquisition: Acquisition
    ridge: float
    step: float
    K: int
    R: int
    mirror: bool


@dataclass(frozen=True, slots=True)
class AtEquilibrium:
    """Any estimator, started at the equilibrium, with any penalty."""

    problem: VariationalSpec
    solver: Solver


@functools.lru_cache(maxsize=512)
def equilibrium_of(problem: VariationalSpec) -> Tensor:
    """The equilibrium of a specification; in closed form for the ridge penalty."""
    built = build_variational(problem, learn_step=True)
    if problem.penalty.weight == 0:
        return built.data.tikhonov(problem.penalty.ridge)
    return equilibrium(built.T, built.data.x0)


def truncation_bound(
    built: VariationalProblem, step: float, star: Tensor, target: Tensor, K: int, R: int
) -> float:
    """The bound ``K L^{K−1} M_B δ (‖v‖ + Λ L^K δ)`` for the ridge penalty and the loss ``‖x − target‖²/(2n)``."""
    ridge, L = built.operator.prior.ridge, built.L
    M_B = step * (built.data.beta + ridge) / (1 + step * ridge) ** 2
    delta = L ** (K * R) * distance(built.data.x0, star)
    v = distance(star, target) / star.numel()
    return K * L ** (K - 1) * M_B * delta * (v + L**K * delta / star.numel())


def _sides(example: TruncatedRun | AtEquilibrium, loosened: int = 1) -> Sides:
    if isinstance(example, AtEquilibrium):
        problem = example.problem
        built, star = build_variational(problem, learn_step=True), equilibrium_of(problem)
        gradient = differentiate(example.solver, built, built.operator.log_step, star, built.data.truth)
        scale = distance(star, built.data.truth) / star.numel() * float(star.norm()) / (1 - built.L)
        return Sides(float(gradient.abs()), 0.0, scale)
    problem = VariationalSpec(example.acquisition, tikhonov_penalty(example.ridge), example.step)
    built, star = build_variational(problem, learn_step=True), equilibrium_of(problem)
    x0 = built.data.x0
    target = 2 * star - x0 if example.mirror else built.data.truth
    solver = restarted_jfb(example.K, example.R)
    gradient = differentiate(solver, built, built.operator.log_step, x0, target)
    bound = truncation_bound(built, example.step, star, target, example.K, example.R)
    scale = distance(star, target) / star.numel() * float(star.norm()) / (1 - built.L)
    return Sides(float(gradient.abs()), bound * built.L ** (1 - loosened), scale)


# These ridges and steps keep L at most 4/5, so that equilibria are found fast, and to rounding.
steps = st.sampled_from((0.5, 1.0, 1.25))
strong_ridges = st.sampled_from((1.0, 0.5))
depths, restarts = st.integers(1, 8), st.integers(0, 3)
sharp = st.builds(
    TruncatedRun,
    acquisitions(st.just(Identity())),
    positive_ridges,
    st.just(0.5),
    depths,
    restarts,
    st.just(True),
)

CLAIM = Claim(
    id="C20",
    statement="g_τ = 0 at equilibrium; |g_τ| ≤ K L^(K−1) M_B δ (‖v‖ + ΛL^Kδ) for restarted JFB",
    source="PROOFS S5, S11",
    assumptions="the prox scales with τ; L < 1; for the bound, the penalty is the ridge alone",
    examples=st.tuples(
        st.one_of(
            st.builds(TruncatedRun, acquisitions(), positive_ridges, steps, depths, restarts, st.booleans()),
            sharp,
            st.builds(
                AtEquilibrium,
                st.builds(VariationalSpec, acquisitions(), penalties(strong_ridges), steps),
                st.sampled_from(
                    (jfb(0), restarted_jfb(2, 0), restarted_jfb(9, 1), neumann(0, 9), deq(1e-12))
                ),
            ),
        )
    ),
    sides=_sides,
    negative_control=lambda example: _sides(example, loosened=0),
    false_statement="the same with L^K",
    attained=True,
)
