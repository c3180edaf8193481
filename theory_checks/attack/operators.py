"""Operators of the benchmark, as maps to attack certificates on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from deepinv.physics import Blur, BlurFFT, Denoising, Inpainting, LinearPhysics
from torch import Tensor

from bench.operators import (
    ForwardBackward,
    Operator,
    Prior,
    Splitting,
    data_fidelity,
    douglas_rachford,
    forward_backward,
    half_quadratic,
    peaceman_rachford,
)
from bench.operators.counts import CountedBlur
from bench.operators.gradient_step import GradientStep
from bench.operators.proximal import ProximalOperator
from bench.penalties import Penalty
from bench.penalties.groups import Groups
from bench.penalties.shrinkage import Shrinkage
from bench.regularisers import crr
from bench.regularisers.convolutions import convolve
from bench.regularisers.ridge import RidgeRegulariser
from bench.spectra.enclosure import in_float64
from bench.tasks import demosaicing, mri, mri_coils, poisson, super_resolution, tomography
from bench.tasks.base import PhysicsFactory
from solvers import DerivativeBounds, Map

from .problem import F64, AttackProblem

PENALTIES = {
    "weighted": {},
    "colours": {"groups": Groups(colours=True)},
    "orientations": {"groups": Groups(orientations=True)},
    "both": {"groups": Groups(orientations=True, colours=True)},
    "coupled": {"groups": Groups(orientations=True), "coupled": True},
    "union": {"union": ("haar", "db2")},
}
RIDGES = {"crr": False, "crr_circular": True}
"""Convex ridge regularisers: whether their convolutions are circular."""
SPLITTINGS: dict[str, Callable[[float], Splitting]] = {
    "forward_backward": lambda step: forward_backward(),
    "douglas_rachford": lambda step: douglas_rachford(gamma=step),
    "averaged": lambda step: douglas_rachford(0.9),
    "peaceman_rachford": lambda step: peaceman_rachford(),
    "peaceman_rachford_at_depth": lambda step: peaceman_rachford(depth=10),
    "half_quadratic": lambda step: half_quadratic(step),
}
"""Makes a splitting from the step of a problem."""
PHYSICS: dict[str, PhysicsFactory | None] = {
    "denoising": None,
    "deblurring": None,
    "mild_deblurring": None,
    "inpainting": None,
    "mri": mri().physics,
    "mri_coils": mri_coils().physics,
    "tomography": tomography(angles=12).physics,
    "super_resolution": super_resolution().physics,
    "demosaicing": demosaicing().physics,
    "poisson": poisson().physics,
}
"""Of the tasks; the first four are made here, with a kernel that may be a parameter."""
INVERTIBLE = ("denoising", "mild_deblurring")
"""Physics with a smallest eigenvalue of ``AᵀA`` above 0, without which a ridge regulariser has no L below 1."""
WITHOUT_PROX = ("mri_coils", "tomography", "poisson")
"""Physics whose data term has no prox in closed form, so that only forward–backward takes them."""
BINOMIAL = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])[None, None] / 16


class OperatorMap:
    """An operator bound to data, whose gain or blur kernel may be a parameter too."""

    def __init__(self, problem: AttackProblem, dtype: torch.dtype) -> None:
        random = torch.Generator().manual_seed(problem.seed)
        shape = (channels(problem), problem.size, problem.size)
        self.problem = problem
        truth = problem.scale * torch.rand((problem.batch, *shape), generator=random, dtype=F64)
        self.leaf = torch.ones((), dtype=dtype, requires_grad=problem.leaf == "gain")
        self.physics = attack_physics(problem, shape, dtype, random)
        self.operator = attack_operator(problem, self.physics, shape, dtype)
        with torch.no_grad():
            spread_parameters(self.operator, problem, random)
            self.data = measure(self.physics, truth.to(dtype), problem, random)
            if problem.kink:
                self._kink()
        self.bind()

    def bind(self) -> None:
        """Bind the operator to the current data."""
        self.T = self.operator.bind(self.leaf * self.data, self.physics)

    def __call__(self, x: Tensor) -> Tensor:
        """One iteration on states."""
        return self.T(x)

    def regularity(self) -> DerivativeBounds | None:
        """The bounds that the operator states."""
        return self.T.regularity()  # pyright: ignore

    def select(self, index: Tensor) -> Map:
        """The map of the samples at ``index``."""
        return self.T.select(index)  # pyright: ignore

    def start(self) -> Tensor:
        """The usual first state."""
        return self.operator.start(cast(Tensor, self.physics.A_adjoint(self.data))).detach()

    def image(self, state: Tensor) -> Tensor:
        """The image of a state."""
        return self.T.image(state)  # pyright: ignore

    def image_bound(self) -> float | None:
        """``Operator.image_bound``; ``None`` also where the spectrum of the data term is unknown."""
        spectrum = data_fidelity(self.data, self.physics).spectrum()
        return None if spectrum is None else self.operator.image_bound(spectrum)

    def leaves(self) -> tuple[Tensor, ...]:
        """The parameters in which the gradient is taken."""
        leaves: list[Tensor] = list(self.operator.parameters())
        if self.leaf.requires_grad:
            leaves.append(self.leaf)
        kernel = getattr(self.physics, "filter", None)
        if isinstance(kernel, Tensor) and kernel.requires_grad:
            leaves.append(kernel)
        return tuple(leaves)

    def copy_numbers(self, source: OperatorMap) -> None:
        """Take over the numbers of the same map in another dtype: parameters, data, and those of the physics.

        The wavelets are not copied: the bounds need them orthonormal, as they are in float64.
        """
        with torch.no_grad():
            mine = [*self.operator.parameters(), *_steps(self.operator), self.data]
            its = [*source.operator.parameters(), *_steps(source.operator), source.data]
            for target, value in zip(mine, its, strict=True):
                target.copy_(value)
        if PHYSICS[self.problem.physics] is not None:
            self.physics = in_float64(source.physics)
        self.bind()

    def _kink(self) -> None:
        """Set a parameter so that the median coefficient of the first iterate, in one channel, lies at its kink."""
        if isinstance(self.operator, GradientStep):
            ridge = self.operator.regulariser
            assert isinstance(ridge, RidgeRegulariser)
            z = convolve(ridge.scale.exp() * self.start(), ridge.filters(), ridge.circular)[0, 0].abs()
            ridge.scalings[0, 0] = -float(
                _median(z).clamp_min(1e-6 * self.problem.scale).log() + ridge.steepness
            )
            return
        assert isinstance(self.operator, ProximalOperator)
        prior, data = self.operator.prior, data_fidelity(self.data, self.physics)
        assert isinstance(prior, Shrinkage)
        z, step = self.operator.prox_argument(self.start(), data)
        median = _median(prior.argument(z, step)[0, 0].abs())
        threshold = (median - prior.smoothing * (1 + step * prior.ridge)).clamp_min(1e-6)
        prior.log_weights.flatten()[0] = (threshold / step).log()


def channels(problem: AttackProblem) -> int:
    """Channels of the images: 2 for complex ones, 3 where the penalty or the physics needs colours, else 1."""
    if problem.physics in ("mri", "mri_coils"):
        return 2
    return 3 if problem.physics == "demosaicing" or problem.map in ("colours", "both") else 1


def attack_physics(
    problem: AttackProblem, shape: tuple[int, int, int], dtype: torch.dtype, random: torch.Generator
) -> LinearPhysics:
    """The physics for images of ``shape``."""
    if (factory := PHYSICS[problem.physics]) is not None:
        return factory(shape, random, dtype, torch.device("cpu"))
    if problem.physics == "denoising":
        return Denoising()
    if problem.physics == "inpainting":
        mask = (torch.rand(1, *shape[1:], generator=random, dtype=F64) > 0.3).to(dtype)
        img_size = cast(tuple[int], shape)
        return Inpainting(img_size=img_size, mask=mask.expand(shape[0], -1, -1))
    kernel = BINOMIAL.to(dtype, copy=True)
    if problem.physics == "mild_deblurring":
        kernel = kernel / 2
        kernel[..., 1, 1] += 0.5
    if problem.leaf == "kernel":
        return Blur(filter=kernel.requires_grad_(), padding="circular")
    return BlurFFT(img_size=shape, filter=kernel)


def attack_operator(
    problem: AttackProblem, physics: LinearPhysics, shape: tuple[int, int, int], dtype: torch.dtype
) -> Operator:
    """The operator with equal weights. Raises ``UserError`` where the splitting does not take prior or physics."""
    prior = attack_prior(problem)
    if problem.leaf == "step" and isinstance(prior, Penalty) and problem.splitting == "forward_backward":
        return ForwardBackward(prior.build(shape, dtype), problem.step, learn_step=True)
    splitting = SPLITTINGS[problem.splitting](problem.step)
    return splitting.operator(prior, physics, shape, problem.step, dtype, "cpu")


def attack_prior(problem: AttackProblem) -> Prior:
    """The prior."""
    if problem.map in RIDGES:
        return crr(RIDGES[problem.map])
    return Penalty(
        problem.map,
        problem.smoothing,
        problem.ridge,
        problem.wavelet,
        1 if problem.size < 16 else 2,
        problem.weight * problem.scale,
        **PENALTIES[problem.map],  # pyright: ignore[reportArgumentType]
    )


def spread_parameters(operator: Operator, problem: AttackProblem, random: torch.Generator) -> None:
    """Draw unequal weights of a penalty; scale a ridge regulariser, and give it unequal scalings."""
    if isinstance(operator, GradientStep):
        ridge = operator.regulariser
        assert isinstance(ridge, RidgeRegulariser)
        ridge.strength.add_(math.log(problem.weight / 0.02))
        ridge.scale.sub_(math.log(problem.scale))
        weights = ridge.scalings
    else:
        assert isinstance(operator, ProximalOperator)
        weights = operator.prior.log_weights
    spread = torch.randn(weights.shape, generator=random, dtype=F64)
    weights.add_(spread.to(weights) * 0.5)


def measure(physics: LinearPhysics, truth: Tensor, problem: AttackProblem, random: torch.Generator) -> Tensor:
    """Measurements with Gaussian noise of 0.05 of the scale, or counts."""
    clean = cast(Tensor, physics.A(truth))
    if isinstance(physics, CountedBlur):
        return physics.draw(clean.double(), random).to(truth)
    noise = 0.05 * problem.scale * torch.randn(clean.shape, generator=random, dtype=F64)
    return clean + noise.to(truth)


def _median(sizes: Tensor) -> Tensor:
    ordered = sizes.flatten().sort().values
    return ordered[len(ordered) // 2]


def _steps(operator: Operator) -> list[Tensor]:
    """The step of forward–backward, which is a buffer where it is not learned."""
    return [operator.log_step] if isinstance(operator, ForwardBackward) else []
