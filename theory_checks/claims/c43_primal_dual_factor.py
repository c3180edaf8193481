"""C43. The contraction factor of primal–dual splitting in a weighted norm.

Condat–Vũ and Chambolle–Pock, the dual first, for ``min_s f(s) + g(K s)`` with f quadratic, ``μI ≤ ∇²f ≤ βI``, and g*
κ-strongly convex, satisfy ``‖T^N a − T^N b‖_P ≤ L^N ‖a − b‖_P`` with ``P = [[1/τ, Kᵀ], [K, 1/σ]]`` and
``m = 1/τ − σ‖K‖²``. For a gradient step on f, with ``m ≥ β/2``, L is ``1/√(1 + ρ)``, ``ρ = min(cτ/(1 − cτ), 2κσ)``,
``c = min over h ∈ {μ, β} of h (2 − h/m)``. For a prox of f, with ``τσ‖K‖² ≤ 1``, ``s = τμ`` and ``t = σκ``, it is
``1/(1 + min(s, t))`` if ``|s − t| ≥ min(s, t)(s + t)``, else ``(s + t)/(2√(st(1 + s + t)))``. κ is ``δ/max ω`` for
Huber's function, and 0, with L = 1, without smoothing. Steps and factor are those of the operator.

A gradient step approaches it, as κ grows and σ‖K‖² shrinks, along an eigenvector of μ: then s contracts by ``1 − τμ``,
``τ = 1/m``, whose square is ``1 − cτ``. For a prox of f it is attained: by that eigenvector in the null space of K, by
a vector of the dual in that of Kᵀ, and in between by vectors that K couples.

In the Euclidean norm, the negative control, T need not contract: a move of the dual by v moves s by up to ``τ‖K‖‖v‖``.

Source: PROOFS C43. The norm is that of He and Yuan (2012), ``m ≥ β/2`` is of Condat (2013), and the rate of Chambolle
and Pock (2011, Theorem 3) is that of a prox at ``τσ‖K‖² = 1``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

from hypothesis import strategies as st
from torch import Tensor

from solvers import unrolled

from ..engine import Claim, Sides, conjunction
from ..instances.primal_dual import (
    PAIRS,
    PrimalDualProblem,
    analysis_problems,
    factor_of,
    sharp_problems,
    split,
    state_pair,
    wavelet_problems,
    weighted_norm,
)
from ..instances.splittings import SplitProblem, build_split
from ..instances.variational import photograph_numbers, seeds

Norm = Callable[[SplitProblem, Tensor], float]


def contracts_in(norm: Norm, built: SplitProblem, N: int, pair: str, photograph: int, seed: int) -> Sides:
    """Both sides of C43 on a pair of states, if T contracted by its factor in ``norm``."""
    solver = unrolled(N)
    a, b = state_pair(built, pair, photograph, seed)
    moved = norm(built, solver(built.T, a).x.detach() - solver(built.T, b).x.detach())
    return Sides(moved, factor_of(built) ** N * norm(built, a - b), norm(built, a))


def sides_in(norm: Norm, problem: PrimalDualProblem, N: int, photograph: int, seed: int) -> Sides:
    """``contracts_in`` for both splittings and all kinds of pairs."""
    return conjunction(
        *(
            contracts_in(norm, build_split(split(problem, by_prox)), N, pair, photograph, seed)
            for by_prox, pair in product((False, True), PAIRS)
        )
    )


def euclidean(built: SplitProblem, difference: Tensor) -> float:
    """``‖z‖``."""
    return float(difference.norm())


problems = st.one_of(sharp_problems, analysis_problems, wavelet_problems)

CLAIM = Claim(
    id="C43",
    statement="‖T^N a − T^N b‖_P ≤ L^N ‖a − b‖_P, L = (1 + min(cτ/(1−cτ), 2κσ))^(−1/2) for primal–dual; for a prox "
    "of f, 1/(1 + min(s, t)) with s = μτ and t = κσ, or (s+t)/(2√(st(1+s+t))) if |s−t| < min(s, t)(s+t)",
    source="PROOFS C43; Chambolle, Pock 2011; He, Yuan 2012; Condat 2013",
    assumptions="f quadratic, μI ≤ ∇²f ≤ βI, g* κ-strongly convex; 1/τ − σ‖K‖² ≥ β/2, or τσ‖K‖² ≤ 1",
    examples=st.tuples(problems, st.integers(1, 5), photograph_numbers, seeds),
    sides=lambda *example: sides_in(weighted_norm, *example),
    negative_control=lambda *example: sides_in(euclidean, *example),
    false_statement="the same in the Euclidean norm",
    attained=True,
)
