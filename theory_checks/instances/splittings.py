"""Splittings of one problem ``min f + g`` on crops of real photographs, in float64, with the exact curvatures of f."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.operators import (
    DataFidelity,
    DouglasRachford,
    ForwardBackward,
    Operator,
    Regulariser,
    Splitting,
    data_fidelity,
    douglas_rachford,
)
from bench.operators.douglas_rachford import best_gamma, reflection_factor
from bench.penalties import Penalty
from bench.penalties.analysis import AnalysisPrior
from bench.penalties.groups import Groups
from bench.utils.errors import UserError
from solvers import Map

from .variational import (
    SIDE,
    AcquiredData,
    Acquisition,
    Identity,
    MotionBlur,
    acquire,
    acquisitions,
    elastic_net_penalty,
    equilibrium,
    huber_penalty,
)


class TrivialRegulariser(Regulariser):
    """``g = 0``, whose reflection ``2 prox − I`` is I, or the indicator of 0, whose reflection is −I.

    It has one log-weight, which nothing depends on.
    """

    def __init__(self, kept: bool, ridge: float) -> None:
        super().__init__()
        self.kept, self.ridge = kept, ridge
        self.log_weights = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """``argmin_s g(s) + ε/2 ‖s − ½‖² + ‖s − z‖²/(2τ)``."""
        return (z + step * self.ridge * 0.5) / (1 + step * self.ridge) if self.kept else torch.zeros_like(z)


@dataclass(frozen=True, slots=True)
class TrivialPenalty:
    """A prior with the regulariser ``g = 0`` (``kept``) or the indicator of 0, and a ridge ε."""

    kept: bool
    ridge: float
    layers: int = 0
    label: str = "trivial"
    learns_synthesis: bool = False

    def without_ridge(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
    ) -> Regulariser:
        """g."""
        return TrivialRegulariser(self.kept, 0.0)

    def operator(
        self, shape: tuple[int, ...], step: float, dtype: torch.dtype, device: torch.device | str
    ) -> Operator:
        """Forward–backward."""
        return ForwardBackward(TrivialRegulariser(self.kept, self.ridge), step)


@dataclass(frozen=True, slots=True)
class SplitSpec:
    """A problem and an algorithm for it; the argument of ``build_split``.

    Attributes:
        acquisition: the photograph and its measurement.
        penalty: g, with a ridge ε > 0; its parameters are scattered around their initial values.
        splitting: the algorithm.
    """

    acquisition: Acquisition
    penalty: Penalty | TrivialPenalty | AnalysisPrior
    splitting: Splitting

    def __repr__(self) -> str:
        return f"SplitSpec({self.acquisition!r}, {self.penalty!r}, {self.splitting!r})"


@dataclass(frozen=True, eq=False)
class SplitProblem:
    """The operator of a splitting with its data.

    Attributes:
        operator: the operator; its penalty has ``log_weights``.
        T: the operator on states, with the measurements of ``data``.
        data: the measured photograph; ``term`` its data term.
        L: the operator's own bound on its contraction factor.
    """

    operator: Operator
    T: Map
    data: AcquiredData
    term: DataFidelity
    L: float

    @property
    def log_weights(self) -> Tensor:
        """The parameters of the penalty."""
        named = self.operator.named_parameters()
        return next(parameter for name, parameter in named if name.endswith("log_weights"))

    def image(self, state: Tensor) -> Tensor:
        """The image of a state, of shape ``(1, C, 16, 16)``."""
        return self.operator.image(state, self.term)

    def gradient(self, value: Tensor) -> Tensor:
        """The gradient of a loss in the log-weights by an ordinary backward pass, flat."""
        self.operator.zero_grad(set_to_none=True)
        value.backward()
        weights = self.log_weights
        assert weights.grad is not None, "the backward pass left no gradient in the weights"
        return weights.grad.flatten().clone()


@functools.lru_cache(maxsize=256)
def build_split(spec: SplitSpec) -> SplitProblem:
    """Build the operator of a specification. Results are cached and shared.

    Raises:
        UserError: the splitting refuses the problem, e.g. an α beyond its limit.
    """
    acquisition, data = spec.acquisition, acquire(spec.acquisition)
    shape = (acquisition.channels, SIDE, SIDE)
    operator = spec.splitting.operator(spec.penalty, data.physics, shape, 1.0, torch.float64, "cpu")
    term, spectrum = data_fidelity(data.y, data.physics), (data.alpha, data.beta)
    T = operator.bind(data.y, data.physics)
    built = SplitProblem(operator, T, data, term, operator.contraction(spectrum))
    rng = torch.Generator().manual_seed(acquisition.seed + 1)
    with torch.no_grad():  # the same parameters for every splitting
        for parameter in operator.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64))
    return built


@functools.lru_cache(maxsize=256)
def split_equilibrium(spec: SplitSpec) -> Tensor:
    """The fixed point of a specification, a state, exact to rounding."""
    built = build_split(spec)
    with torch.no_grad():
        return equilibrium(built.T, built.operator.start(built.data.x0))


def why_refused(spec: SplitSpec) -> str | None:
    """Why the splitting refuses the problem; ``None`` if it does not."""
    try:
        build_split(spec)
    except UserError as error:
        return str(error)
    return None


def curvatures(data: AcquiredData, ridge: float) -> tuple[float, float]:
    """σ and β: the smallest and the largest eigenvalue of the second derivative of f."""
    return data.alpha + ridge, data.beta + ridge


def reflection(data: AcquiredData, ridge: float, gamma: float) -> Map:
    """``R_f = 2 prox_{γf} − I`` on images ``(B, C, 16, 16)``, as the benchmark's operators apply it."""
    operator = DouglasRachford(TrivialRegulariser(True, 0.0), gamma, ridge)
    term = data_fidelity(data.y, data.physics)

    def reflect(z: Tensor) -> Tensor:
        with torch.no_grad():
            return operator.prox_argument(z, term)[0]

    return reflect


def averaged(
    acquisition: Acquisition, penalty: Penalty | TrivialPenalty, scale: float, share: float
) -> SplitSpec:
    """``T_α`` with ``γ = scale·γ*`` and ``α = share·2/(1 + δ)``, a share of the largest α."""
    sigma, beta = curvatures(acquire(acquisition), penalty.ridge)
    if isinstance(penalty, Penalty) and penalty.union:
        sigma = penalty.ridge  # states that no image has meet the ridge alone
    extremes = sigma, beta
    gamma = scale * best_gamma(extremes)
    alpha = share * 2 / (1 + reflection_factor(extremes, gamma))
    return SplitSpec(acquisition, penalty, douglas_rachford(alpha, gamma))


ridges = st.sampled_from((0.5, 1.0, 0.1))
weights = st.sampled_from((0.02, 0.1))
plain_penalties = st.one_of(
    st.builds(elastic_net_penalty, weights, ridges, st.just(2)),
    st.builds(huber_penalty, weights, ridges, st.just(2), st.sampled_from((0.01, 0.1))),
)
"""ℓ1 and Huber penalties with a ridge."""


def grouped_penalty(weight: float, ridge: float, smoothing: float, colours: bool) -> Penalty:
    """Norms across orientations, and colours if so, with a ridge."""
    return Penalty("grouped", smoothing, ridge, "haar", 2, weight, Groups(True, colours))


def union_penalty(weight: float, ridge: float, smoothing: float) -> Penalty:
    """ℓ1 or Huber in a union of two bases, with a ridge; states are coefficients."""
    return Penalty("union", smoothing, ridge, "haar", 1, weight, union=("haar", "db2"))


smoothings = st.sampled_from((0.0, 0.01))
split_penalties = st.one_of(
    plain_penalties,
    st.builds(grouped_penalty, weights, ridges, smoothings, st.just(False)),
    st.builds(union_penalty, weights, ridges, smoothings),
)
"""Every kind of penalty that images of any number of channels can have."""
split_problems: st.SearchStrategy[tuple[Acquisition, Penalty]] = st.one_of(
    st.tuples(acquisitions(), split_penalties),
    st.tuples(
        acquisitions(st.just(MotionBlur(3))),
        st.builds(grouped_penalty, weights, ridges, smoothings, st.just(True)),
    ),
)
trivial_penalties = st.builds(TrivialPenalty, st.booleans(), ridges)
scales = st.sampled_from((1.0, 0.3, 3.0, 0.1, 10.0))
"""γ in units of γ*."""
shares = st.sampled_from((0.5, 0.25, 0.75, 0.95, 0.05, 0.999))
"""α in units of its limit 2/(1 + δ)."""
identities = acquisitions(st.just(Identity()))
