"""Forward–backward steps on crops of real photographs, in float64, with the exact spectrum of the physics."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from deepinv.physics import DecomposablePhysics
from hypothesis import strategies as st
from torch import Tensor

from bench.operators import ForwardBackward, contraction_factor
from bench.penalties import Penalty, WeightedPenalty
from bench.tasks import loss, spectrum
from bench.tasks.deblurring import GaussianBlur, MotionBlur
from bench.tasks.denoising import Identity
from bench.tasks.images import crops, find_images
from bench.tasks.inpainting import LostPixels
from solvers import Map, Solver, deq

SIDE = 16
Physics = Identity | LostPixels | GaussianBlur | MotionBlur
PHOTOGRAPHS = 4
"""Number of crops of grey images, and of colour images."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Which photograph is measured, and how; the argument of ``acquire``.

    Attributes:
        physics: the measurement operator.
        photograph: index of the crop, below ``PHOTOGRAPHS``.
        seed: seed of the noise, the lost pixels and the weights.
    """

    physics: Physics
    photograph: int
    seed: int

    @property
    def channels(self) -> int:
        """Number of channels: 3 for motion blur, which shifts each channel in another direction, otherwise 1."""
        return 3 if isinstance(self.physics, MotionBlur) else 1


@dataclass(frozen=True, slots=True)
class VariationalSpec:
    """Which forward–backward step to build; the argument of ``build_variational``.

    Attributes:
        acquisition: the photograph and its measurement.
        penalty: the penalty; its weights are drawn around ``penalty.weight``.
        step: the step size τ.
    """

    acquisition: Acquisition
    penalty: Penalty
    step: float


@dataclass(frozen=True, eq=False)
class AcquiredData:
    """A measured photograph.

    Attributes:
        physics: the operator A.
        truth, y, x0: photograph, measurements, and start ``Aᵀy``; images have the shape ``(1, C, 16, 16)``.
        alpha, beta: smallest and largest eigenvalue of AᵀA.
    """

    physics: DecomposablePhysics
    truth: Tensor
    y: Tensor
    x0: Tensor
    alpha: float
    beta: float

    def modes(self, x: Tensor, eigenvalue: float) -> Tensor:
        """The projection of ``x`` onto the eigenspace of AᵀA for the smallest or the largest ``eigenvalue``."""
        selected = (self.eigenvalues() - eigenvalue).abs() <= 1e-14
        return self.physics.V(self.physics.V_adjoint(x) * selected)

    def tikhonov(self, ridge: float) -> Tensor:
        """``argmin_x ½‖Ax − y‖² + ε/2‖x − ½‖²`` with ``ε = ridge``, in closed form by the SVD of A."""
        right = self.physics.A_adjoint(self.y) + 0.5 * ridge
        return self.physics.V(self.physics.V_adjoint(right) / (self.eigenvalues() + ridge))

    def eigenvalues(self) -> Tensor:
        """The eigenvalues of AᵀA, in the layout of ``physics.V_adjoint``."""
        return torch.as_tensor(self.physics.mask).abs().double().square()


@dataclass(frozen=True, eq=False)
class VariationalProblem:
    """A forward–backward operator with its data, and L, the bound of THEORY C9 on its contraction factor."""

    operator: ForwardBackward
    data: AcquiredData
    L: float

    @property
    def prior(self) -> WeightedPenalty:
        """The penalty of the operator."""
        assert isinstance(self.operator.prior, WeightedPenalty), "these operators have penalties on images"
        return self.operator.prior

    def T(self, x: Tensor) -> Tensor:
        """One forward–backward step; x has the shape of an image."""
        return self.operator(x, self.data.y, self.data.physics)


@functools.lru_cache(maxsize=2)
def photographs(channels: int) -> Tensor:
    """Crops of real photographs, of shape ``(PHOTOGRAPHS, C, 16, 16)``."""
    return crops(find_images(colour=channels == 3).train, channels, SIDE, PHOTOGRAPHS, 0)


@functools.lru_cache(maxsize=512)
def acquire(acquisition: Acquisition) -> AcquiredData:
    """Measure a crop, with Gaussian noise of standard deviation 0.05."""
    truth = photographs(acquisition.channels)[acquisition.photograph][None]
    rng = torch.Generator().manual_seed(acquisition.seed)
    shape = (acquisition.channels, SIDE, SIDE)
    physics = acquisition.physics(shape, rng, torch.float64, torch.device("cpu"))
    clean = physics.A(truth)
    y = clean + 0.05 * torch.randn(clean.shape, generator=rng, dtype=torch.float64)
    return AcquiredData(physics, truth, y, physics.A_adjoint(y), *spectrum(physics))


@functools.lru_cache(maxsize=512)
def build_variational(spec: VariationalSpec, learn_step: bool = False) -> VariationalProblem:
    """Build the operator of a specification. Results are cached and shared: zero the gradients before use."""
    acquisition, data = spec.acquisition, acquire(spec.acquisition)
    prior = spec.penalty.build((acquisition.channels, SIDE, SIDE), torch.float64)
    rng = torch.Generator().manual_seed(acquisition.seed + 1)
    with torch.no_grad():
        scatter = torch.randn(prior.log_weights.shape, generator=rng, dtype=torch.float64)
        prior.log_weights.add_(0.5 * scatter)
    operator = ForwardBackward(prior, spec.step, learn_step=learn_step)
    L = contraction_factor((data.alpha, data.beta), spec.step, spec.penalty.ridge)
    return VariationalProblem(operator, data, L)


def equilibrium(T: Map, x0: Tensor) -> Tensor:
    """The fixed point of a contraction, exact to rounding."""
    with torch.no_grad():
        x = deq(1e-12, 500).forward_solver(T, x0).x
        # The accelerated solver stops at a tolerance; plain steps contract the rest of the error.
        for _ in range(20):
            x = T(x)
    return x


def differentiate(
    solver: Solver, problem: VariationalProblem, parameter: Tensor, start: Tensor, target: Tensor
) -> Tensor:
    """The gradient of the training loss in ``parameter`` that the real solver produces in a backward pass."""
    problem.operator.zero_grad(set_to_none=True)
    loss(solver(problem.T, start).x, target).backward()
    assert parameter.grad is not None, "the backward pass left no gradient in the parameter"
    return parameter.grad.clone()


def distance(a: Tensor, b: Tensor) -> float:
    """The 2-norm of ``a − b`` over all entries."""
    return float(torch.linalg.vector_norm(a - b))


def tikhonov_penalty(ridge: float) -> Penalty:
    """The ridge penalty alone: weights of zero."""
    return Penalty("tikhonov", 0.0, ridge, "haar", 1, 0.0)


def elastic_net_penalty(weight: float, ridge: float, levels: int) -> Penalty:
    """Weighted ℓ1 penalty plus a ridge, which may be zero."""
    return Penalty("elastic_net", 0.0, ridge, "haar", levels, weight)


def huber_penalty(weight: float, ridge: float, levels: int, smoothing: float) -> Penalty:
    """Weighted Huber penalty plus a ridge."""
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


def acquisitions(physics: st.SearchStrategy[Physics] = all_physics) -> st.SearchStrategy[Acquisition]:
    """Draw acquisitions with one of the ``physics``."""
    return st.builds(Acquisition, physics, photograph_numbers, seeds)


def penalties(ridge_strategy: st.SearchStrategy[float] = ridges) -> st.SearchStrategy[Penalty]:
    """Draw Tikhonov, elastic net (ℓ1 at zero ridge) and Huber penalties."""
    smoothings = st.sampled_from((0.01, 0.1))
    return st.one_of(
        st.builds(tikhonov_penalty, ridge_strategy),
        st.builds(elastic_net_penalty, weights, ridge_strategy, levels),
        st.builds(huber_penalty, weights, ridge_strategy, levels, smoothings),
    )


def variational_specs(
    ridge_strategy: st.SearchStrategy[float] = ridges,
) -> st.SearchStrategy[VariationalSpec]:
    """Draw specifications with any physics and any penalty."""
    return st.builds(VariationalSpec, acquisitions(), penalties(ridge_strategy), steps)
