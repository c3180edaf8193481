"""Forward–backward steps on crops of real photographs, float64, with the spectrum of the physics known exactly."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from deepinv.physics import DecomposablePhysics
from hypothesis import strategies as st
from torch import Tensor

from bench.images import crops, find_images
from bench.operators import ForwardBackward, Penalty, WeightedPenalty, contraction_factor
from bench.tasks import loss, spectrum
from bench.tasks.deblurring import GaussianBlur, MotionBlur
from bench.tasks.denoising import Identity
from bench.tasks.inpainting import LostPixels
from solvers import Map, Solver, deq

SIDE = 16
Physics = Identity | LostPixels | GaussianBlur | MotionBlur
PHOTOGRAPHS = 4
"""Crops in the cache for grey and for colour images each."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was photographed and how: arguments of ``measure``.

    Attributes:
        physics: the measurement operator.
        photograph: which of the cached crops.
        seed: decides noise, lost pixels and weights.
    """

    physics: Physics
    photograph: int
    seed: int

    @property
    def channels(self) -> int:
        """3 for motion blur, which moves the channels in three directions, otherwise 1."""
        return 3 if isinstance(self.physics, MotionBlur) else 1


@dataclass(frozen=True, slots=True)
class Variational:
    """A forward–backward step: arguments of ``build``.

    Attributes:
        measurement: data term.
        penalty: prior; its weights are scattered around ``penalty.weight``.
        step: τ.
    """

    measurement: Measurement
    penalty: Penalty
    step: float


@dataclass(frozen=True, eq=False)
class Data:
    """A measurement made: images are ``(1, C, 16, 16)``, ``alpha`` and ``beta`` the extreme eigenvalues of AᵀA."""

    physics: DecomposablePhysics
    truth: Tensor
    y: Tensor
    x0: Tensor
    alpha: float
    beta: float

    def modes(self, x: Tensor, eigenvalue: float) -> Tensor:
        """Projection of ``x`` on the eigenspace of AᵀA for the extreme ``eigenvalue``."""
        near = (self.eigenvalues() - eigenvalue).abs() <= 1e-14
        return self.physics.V(self.physics.V_adjoint(x) * near)

    def tikhonov(self, ridge: float) -> Tensor:
        """``argmin_x ½‖Ax − y‖² + ε/2‖x − ½‖²``, in closed form in the basis of the SVD."""
        right = self.physics.A_adjoint(self.y) + 0.5 * ridge
        return self.physics.V(self.physics.V_adjoint(right) / (self.eigenvalues() + ridge))

    def eigenvalues(self) -> Tensor:
        """Of AᵀA, in the layout of ``physics.V_adjoint``."""
        return torch.as_tensor(self.physics.mask).abs().double().square()


@dataclass(frozen=True, eq=False)
class Built:
    """A forward–backward operator with its data and ``L``, the bound on its contraction factor of THEORY C9."""

    operator: ForwardBackward
    data: Data
    L: float

    @property
    def prior(self) -> WeightedPenalty:
        """The penalty of the operator."""
        assert isinstance(self.operator.prior, WeightedPenalty), (
            "the operators here are those of penalties on images"
        )
        return self.operator.prior

    def T(self, x: Tensor) -> Tensor:
        """One iteration."""
        return self.operator(x, self.data.y, self.data.physics)


@functools.lru_cache(maxsize=2)
def photographs(channels: int) -> Tensor:
    """Real crops, ``(PHOTOGRAPHS, C, 16, 16)``."""
    return crops(find_images(colour=channels == 3).train, channels, SIDE, PHOTOGRAPHS, 0)


@functools.lru_cache(maxsize=512)
def measure(measurement: Measurement) -> Data:
    """The crop, its noisy measurement and the start of the iteration."""
    truth = photographs(measurement.channels)[measurement.photograph][None]
    rng = torch.Generator().manual_seed(measurement.seed)
    shape = (measurement.channels, SIDE, SIDE)
    physics = measurement.physics(shape, rng, torch.float64, torch.device("cpu"))
    clean = physics.A(truth)
    y = clean + 0.05 * torch.randn(clean.shape, generator=rng, dtype=torch.float64)
    return Data(physics, truth, y, physics.A_adjoint(y), *spectrum(physics))


@functools.lru_cache(maxsize=512)
def build(problem: Variational, learn_step: bool = False) -> Built:
    """The operator of a problem. It is shared: zero its gradients before use."""
    measurement, data = problem.measurement, measure(problem.measurement)
    prior = problem.penalty.build((measurement.channels, SIDE, SIDE), torch.float64)
    rng = torch.Generator().manual_seed(measurement.seed + 1)
    with torch.no_grad():
        scatter = torch.randn(prior.log_weights.shape, generator=rng, dtype=torch.float64)
        prior.log_weights.add_(0.5 * scatter)
    operator = ForwardBackward(prior, problem.step, learn_step=learn_step)
    L = contraction_factor((data.alpha, data.beta), problem.step, problem.penalty.ridge)
    return Built(operator, data, L)


def equilibrium(T: Map, x0: Tensor) -> Tensor:
    """The fixed point of a contraction, to rounding."""
    with torch.no_grad():
        x = deq(1e-12, 500).reach(T, x0).x
        # Acceleration stops at a residual; what is left of it is contracted away.
        for _ in range(20):
            x = T(x)
    return x


def differentiate(solver: Solver, built: Built, parameter: Tensor, start: Tensor, target: Tensor) -> Tensor:
    """What autograd leaves in ``parameter`` when the real solver is used as a user would use it."""
    built.operator.zero_grad(set_to_none=True)
    loss(solver(built.T, start).x, target).backward()
    assert parameter.grad is not None, "no gradient reached the parameter"
    return parameter.grad.clone()


def distance(a: Tensor, b: Tensor) -> float:
    """``‖a − b‖`` over all entries."""
    return float(torch.linalg.vector_norm(a - b))


def tikhonov(ridge: float) -> Penalty:
    """Zero weights: the ridge alone (zero for none)."""
    return Penalty("tikhonov", 0.0, ridge, "haar", 1, 0.0)


def elastic_net(weight: float, ridge: float, levels: int) -> Penalty:
    """Weighted ℓ1 and a ridge; the ℓ1 penalty where that is zero."""
    return Penalty("elastic_net", 0.0, ridge, "haar", levels, weight)


def huber(weight: float, ridge: float, levels: int, smoothing: float) -> Penalty:
    """Weighted Huber and a ridge."""
    return Penalty("huber", smoothing, ridge, "haar", levels, weight)


steps = st.sampled_from((1.0, 0.5, 0.3, 1.5, 1.9))
ridges = st.sampled_from((0.0, 0.1, 0.5, 1.0))
positive_ridges = st.sampled_from((1.0, 0.5, 0.25))
weights = st.sampled_from((0.02, 0.1, 0.005))
levels = st.sampled_from((1, 2))
seeds = st.integers(0, 1000)
photograph_numbers = st.integers(0, PHOTOGRAPHS - 1)
all_physics: st.SearchStrategy[Physics] = st.sampled_from(
    (Identity(), LostPixels(0.5), GaussianBlur(1.0), GaussianBlur(0.5), MotionBlur(3), LostPixels(0.1))
)


def measurements(physics: st.SearchStrategy[Physics] = all_physics) -> st.SearchStrategy[Measurement]:
    """Measurements by one of the ``physics``."""
    return st.builds(Measurement, physics, photograph_numbers, seeds)


def penalties(of_ridge: st.SearchStrategy[float] = ridges) -> st.SearchStrategy[Penalty]:
    """Tikhonov, elastic net (ℓ1 at zero ridge) and Huber."""
    smoothings = st.sampled_from((0.01, 0.1))
    return st.one_of(
        st.builds(tikhonov, of_ridge),
        st.builds(elastic_net, weights, of_ridge, levels),
        st.builds(huber, weights, of_ridge, levels, smoothings),
    )


def variationals(of_ridge: st.SearchStrategy[float] = ridges) -> st.SearchStrategy[Variational]:
    """Problems with any physics and any penalty."""
    return st.builds(Variational, measurements(), penalties(of_ridge), steps)
