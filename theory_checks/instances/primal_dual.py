"""Primal–dual splittings of the problems of ``splittings``, and pairs of their states."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from bench.operators import PrimalDual, chambolle_pock, primal_dual
from bench.penalties import Penalty, filters, tgv, tv
from bench.penalties.analysis import AnalysisPrior

from .splittings import SplitProblem, SplitSpec, ridges, split_problems
from .variational import (
    SIDE,
    Acquisition,
    GaussianBlur,
    LostPixels,
    MotionBlur,
    acquire,
    acquisitions,
    photographs,
)

PAIRS = "mode", "images", "duals"
"""What differs in a pair of states: the image along an eigenvector of μ, the image and the dual, or the dual alone."""
DUAL = 0.01
"""Standard deviation of duals, below the radii of their balls, so that most are free and some are projected."""


@dataclass(frozen=True, slots=True)
class PrimalDualProblem:
    """A problem for both splittings.

    Attributes:
        acquisition: the photograph and its measurement.
        penalty: g and K, with a ridge.
        scale: σ in units of its default.
    """

    acquisition: Acquisition
    penalty: Penalty | AnalysisPrior
    scale: float


def operator_of(built: SplitProblem) -> PrimalDual:
    """The operator of a primal–dual splitting."""
    assert isinstance(built.operator, PrimalDual)
    return built.operator


def factor_of(built: SplitProblem) -> float:
    """The operator's own factor in the norm of P."""
    return operator_of(built).metric_factor((built.data.alpha, built.data.beta))


def weighted_norm(built: SplitProblem, difference: Tensor) -> float:
    """``‖z‖_P``."""
    with torch.no_grad():
        return math.sqrt(float((difference * operator_of(built).metric(difference)).sum()))


def split(problem: PrimalDualProblem, by_prox: bool) -> SplitSpec:
    """Chambolle–Pock (``by_prox``) or Condat–Vũ for a problem."""
    acquisition, penalty = problem.acquisition, problem.penalty
    make = chambolle_pock if by_prox else primal_dual
    if problem.scale == 1:
        return SplitSpec(acquisition, penalty, make())
    physics, shape = acquire(acquisition).physics, (acquisition.channels, SIDE, SIDE)
    default = make().operator(penalty, physics, shape, 1.0, torch.float64, "cpu")
    return SplitSpec(acquisition, penalty, make(problem.scale * default.steps().sigma))


def state_pair(built: SplitProblem, pair: str, photograph: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two states.

    Args:
        built: the problem.
        pair: how they differ.
        photograph: index of the crop that the second image comes from.
        seed: of the duals.
    """
    operator, data = operator_of(built), built.data
    other = photographs(data.truth.shape[1])[photograph][None]
    a = operator.start(data.truth)
    if pair == "mode":
        return a, a + operator.start(0.1 * data.modes(other, data.alpha))
    rng = torch.Generator().manual_seed(seed)
    duals = torch.zeros_like(a)
    size = duals[:, operator.penalty.primal_channels :].shape
    duals[:, operator.penalty.primal_channels :] = DUAL * torch.randn(size, generator=rng, dtype=a.dtype)
    return a, (a if pair == "duals" else operator.start(other)) + duals


smoothings = st.sampled_from((0.1, 0.01, 1.0))
"""δ."""
scales = st.sampled_from((1.0, 0.3, 3.0))
filter_penalties = st.builds(filters, st.sampled_from((8, 3)), st.just(3), smoothings, ridges)
analysis_problems = st.one_of(
    st.builds(PrimalDualProblem, acquisitions(), filter_penalties, scales),
    st.builds(PrimalDualProblem, acquisitions(), st.builds(tgv, smoothings, ridges), scales),
    st.builds(PrimalDualProblem, acquisitions(), st.builds(tv, smoothings, ridges, st.booleans()), scales),
    st.builds(
        PrimalDualProblem,
        acquisitions(st.just(MotionBlur(3))),
        st.builds(tv, smoothings, ridges, st.booleans(), st.just(True)),
        scales,
    ),
)
"""Penalties of K s."""


def _of_coefficients(problem: tuple[Acquisition, Penalty], scale: float) -> PrimalDualProblem:
    return PrimalDualProblem(*problem, scale)


wavelet_problems = st.builds(_of_coefficients, split_problems, scales)
"""Penalties of coefficients: K = I."""
sharp_problems = st.builds(
    PrimalDualProblem,
    acquisitions(st.sampled_from((LostPixels(0.5), GaussianBlur(1.0)))),
    st.builds(tv, st.just(100.0), st.just(0.1)),
    st.sampled_from((1.0, 3.0)),
)
"""κ is so large that a pair along an eigenvector of μ contracts by nearly the factor of Condat–Vũ, which is 0.84."""
