"""C38. The contraction factor of Douglas–Rachford and Peaceman–Rachford splitting.

``T_α = (1 − α)I + α R_g R_f`` with f quadratic, ``σI ≤ ∇²f ≤ βI``, and g convex satisfies ``‖T_α^N a − T_α^N b‖ ≤ L^N
‖a − b‖`` with ``L = |1 − α| + α δ(γ)``, ``δ(γ) = max(|1 − γσ|/(1 + γσ), |1 − γβ|/(1 + γβ))``; ``L < 1`` exactly for
``0 < α < 2/(1 + δ)``. Proof: ``R_f`` is affine with eigenvalues ``(1 − γλ)/(1 + γλ)``, decreasing in λ, and ``R_g`` is
nonexpansive.

Attained for ``R_g = ±I``, which are g = 0 and the indicator of {0}, along an eigenvector of σ or β, where ``R_g R_f``
has the eigenvalue ±δ with the sign of 1 − α. The factor is the operator's own, as certificates use it.

Source: Giselsson, Boyd (arXiv 1407.6723), where f need not be quadratic.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from bench.operators import DouglasRachford
from bench.operators.douglas_rachford import reflection_factor

from ..engine import Claim, Sides
from ..instances.splittings import (
    SplitProblem,
    SplitSpec,
    averaged,
    build_split,
    curvatures,
    plain_penalties,
    scales,
    shares,
    split_penalties,
    trivial_penalties,
)
from ..instances.variational import acquisitions, photograph_numbers
from .c09_forward_backward import contracts, image_pair


def sides_with(
    spec: SplitSpec, N: int, along_mode: bool, photograph: int, factor: Callable[[SplitProblem], float]
) -> Sides:
    """Both sides of C38, if the factor of the operator were ``factor(problem)``."""
    built = build_split(spec)
    operator, data = built.operator, built.data
    assert isinstance(operator, DouglasRachford)
    sigma, beta = (
        reflection_factor((value, value), operator.gamma) for value in curvatures(data, operator.ridge)
    )
    mode = data.alpha if sigma > beta else data.beta
    a, b = (operator.start(x) for x in image_pair(data, mode if along_mode else None, photograph))
    return contracts(built.T, N, a, b, factor(built))


def without_absolute_value(built: SplitProblem) -> float:
    """``1 − α + αδ``, the factor for α ≤ 1."""
    operator = built.operator
    assert isinstance(operator, DouglasRachford)
    delta = operator.argument_lipschitz((built.data.alpha, built.data.beta))
    return 1 - operator.alpha + operator.alpha * delta


specs = st.one_of(
    st.builds(averaged, acquisitions(), trivial_penalties, scales, shares),
    st.builds(averaged, acquisitions(), st.one_of(plain_penalties, split_penalties), scales, shares),
)
sharp_specs = st.builds(averaged, acquisitions(), trivial_penalties, scales, st.sampled_from((0.95, 0.999)))
"""Attained, with α above 1, where |1 − α| is not 1 − α."""

CLAIM = Claim(
    id="C38",
    statement="‖T_α^N a − T_α^N b‖ ≤ [|1−α| + α max(|1−γσ|/(1+γσ), |1−γβ|/(1+γβ))]^N ‖a − b‖",
    source="arXiv 1407.6723",
    assumptions="f quadratic, σI ≤ ∇²f ≤ βI, g convex, both proxes exact",
    examples=st.one_of(
        st.tuples(specs, st.integers(1, 5), st.booleans(), photograph_numbers),
        st.tuples(sharp_specs, st.integers(1, 5), st.just(True), photograph_numbers),
    ),
    sides=lambda *example: sides_with(*example, factor=lambda built: built.L),
    negative_control=lambda *example: sides_with(*example, factor=without_absolute_value),
    false_statement="the same with 1−α for |1−α|",
    attained=True,
)
