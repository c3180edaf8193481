"""Small problems to attack certificates on, each with its exact gradient, computed in float64 from the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from deepinv.physics import Blur, Denoising, Inpainting, LinearPhysics
from torch import Tensor

from bench.operators import ForwardBackward
from bench.penalties import Penalty
from bench.penalties.groups import Groups, portion
from solvers import GMRES, Anderson, DerivativeBounds, LipschitzConstants, Map, SmoothLoss, implicit

F64 = torch.float64
PENALTIES = {
    "weighted": {},
    "colours": {"groups": Groups(colours=True)},
    "orientations": {"groups": Groups(orientations=True)},
    "both": {"groups": Groups(orientations=True, colours=True)},
    "union": {"union": ("haar", "db2")},
}
LAYERS = ("layer", "affine", "quotient")
FLOOR = 1e3 * torch.finfo(F64).eps
"""Relative error of the exact gradient, in units of ``1/(1−L)²``."""


@dataclass(frozen=True, slots=True)
class AttackProblem:
    """The specification of a map, a loss, and the parameters of the gradient.

    Attributes:
        map: a key of ``PENALTIES``; or ``layer``, ``0.9 tanh(Wx + c + y)`` with c and y that cancel; or ``affine``,
            ``0.9x + c + y``; or ``quotient``, ``0.9x + c/(c + 1) + y``, whose derivative cancels if c is large.
        physics: ``denoising``, ``deblurring`` or ``inpainting``.
        wavelet: wavelet of the penalty.
        size, batch: side of the images in pixels, and their number.
        smoothing, ridge, weight: parameters of the penalty.
        step: step size of the iteration, relative to the largest that is allowed.
        kink: whether a weight is set so that a coefficient of the first iterate lies at its kink.
        loss: ``mse``, or ``direct`` if the loss depends on the parameters directly too.
        leaf: a parameter besides those of the map: ``gain`` of y, ``kernel`` of a blur, ``step``, or empty for none.
        big: size of the terms that cancel in a layer; of an operator, the size of its data and weights.
        seed: seed of all random numbers.
    """

    map: str = "weighted"
    physics: str = "denoising"
    wavelet: str = "haar"
    size: int = 8
    batch: int = 1
    smoothing: float = 0.01
    ridge: float = 0.1
    weight: float = 0.02
    step: float = 0.9
    kink: bool = False
    loss: str = "mse"
    leaf: str = ""
    big: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class BuiltProblem:
    """A problem built in a dtype.

    Attributes:
        T: the map.
        x0: its start.
        loss: the training loss.
        leaves: the tensors in which the gradient is taken.
    """

    T: Map
    x0: Tensor
    loss: SmoothLoss
    leaves: tuple[Tensor, ...]


def build_attack_problem(problem: AttackProblem, dtype: torch.dtype) -> BuiltProblem:
    """Build a problem in ``dtype``."""
    return _build_layer(problem, dtype) if problem.map in LAYERS else _build_operator(problem, dtype)


@lru_cache(maxsize=4096)
def exact_parts(problem: AttackProblem, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The exact gradient in float64 of the problem with the numbers that it has in ``dtype``."""
    built = in_float64(problem, build_attack_problem(problem, dtype))
    solver = implicit(Anderson(1e-14, 1200, memory=8), GMRES(1e-13, 300))
    x = solver(built.T, built.x0).x
    return tuple(torch.autograd.grad(built.loss(x), built.leaves, allow_unused=False))


def in_float64(problem: AttackProblem, original: BuiltProblem) -> BuiltProblem:
    """Build a problem in float64, with the numbers of one that was built in another dtype."""
    built = build_attack_problem(problem, F64)
    if isinstance(built.T, _Layer):
        built.T.exact = True
    with torch.no_grad():
        for target, source in zip(_numbers(built.T), _numbers(original.T), strict=True):
            target.copy_(source)
    if isinstance(built.T, _Step):
        built.T.bind()
    x0 = original.x0.double()
    return BuiltProblem(built.T, x0, _loss(problem, built.T, x0, built.leaves), built.leaves)


def _numbers(T: Map) -> list[Tensor]:
    """All tensors that a map consists of, in a fixed order."""
    assert isinstance(T, _Step | _Layer)
    return T.numbers()


class _Layer:
    """The layers of docs/certificates.md.

    ``exact`` avoids cancellation: it adds c and y first, and takes the quotient in one operation.
    """

    def __init__(self, problem: AttackProblem, dtype: torch.dtype) -> None:
        random = torch.Generator().manual_seed(problem.seed)
        n = problem.size
        W = torch.randn(n, n, generator=random, dtype=F64)
        self.W = (0.999 * W / torch.linalg.matrix_norm(W, 2)).to(dtype)
        self.kind, self.exact = problem.map, False
        divides = self.kind == "quotient"
        self.c = torch.full((n,), 1 + problem.big if divides else -problem.big, dtype=dtype).requires_grad_()
        y = 0.3 * torch.randn(problem.batch, n, generator=random, dtype=F64)
        self.y = (y if divides else y + problem.big).to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        if self.kind == "quotient":
            share = portion(self.c, torch.ones_like(self.c)) if self.exact else self.c / (self.c + 1)
            return 0.9 * x + share + self.y
        z = x @ self.W.T if self.kind == "layer" else 0.9 * x
        z = z + (self.c + self.y) if self.exact else z + self.c + self.y  # c and y cancel to the bit
        return 0.9 * torch.tanh(z) if self.kind == "layer" else z

    def regularity(self) -> LipschitzConstants:
        if self.kind != "layer":
            slope = 1.0 if self.kind == "affine" else float((self.c.detach() + 1).pow(-2).max())
            return LipschitzConstants(0.9, 0.0, 0.0, lambda x: slope * math.sqrt(len(x)), parameters=[self.c])
        return LipschitzConstants(0.9, 0.7, 0.7, lambda x: 0.9 * math.sqrt(len(x)), parameters=[self.c])

    def numbers(self) -> list[Tensor]:
        return [self.W, self.c, self.y]


class _Step:
    """An operator of the benchmark whose gain or blur kernel may be a parameter too."""

    def __init__(self, problem: AttackProblem, dtype: torch.dtype) -> None:
        random = torch.Generator().manual_seed(problem.seed)
        channels = 3 if problem.map in ("colours", "both") else 1
        shape = (problem.batch, channels, problem.size, problem.size)
        scale = max(1.0, problem.big)
        truth = scale * torch.rand(shape, generator=random, dtype=F64)
        penalty = Penalty(
            problem.map,
            problem.smoothing,
            problem.ridge,
            problem.wavelet,
            1 if problem.size < 16 else 2,
            problem.weight * scale,
            **PENALTIES[problem.map],  # pyright: ignore[reportArgumentType]
        )
        self.leaf = torch.ones((), dtype=dtype, requires_grad=problem.leaf == "gain")
        self.physics = self._physics(problem, dtype, random)
        prior = penalty.build(shape[1:], dtype)
        self.operator = ForwardBackward(prior, problem.step, learn_step=problem.leaf == "step")
        with torch.no_grad():
            spread = torch.randn(prior.log_weights.shape, generator=random, dtype=F64)
            prior.log_weights.add_(spread.to(dtype) * 0.5)
            clean = self.physics.A(truth.to(dtype))
            noise = 0.05 * scale * torch.randn(clean.shape, generator=random, dtype=F64)
            self.data = clean + noise.to(dtype)
            if problem.kink:
                self._kink()
        self.bind()

    def bind(self) -> None:
        """Bind the operator to the current data."""
        self.T = self.operator.bind(self.leaf * self.data, self.physics)

    def __call__(self, x: Tensor) -> Tensor:
        return self.T(x)

    def regularity(self) -> DerivativeBounds | None:
        return self.T.regularity()  # pyright: ignore

    def select(self, index: Tensor) -> Map:
        return self.T.select(index)  # pyright: ignore

    def numbers(self) -> list[Tensor]:
        # The wavelets are not copied: the proof needs them orthonormal, as they are in float64.
        return [*self.operator.parameters(), self.operator.log_step, self.data]

    def leaves(self) -> tuple[Tensor, ...]:
        leaves: list[Tensor] = list(self.operator.parameters())
        if self.leaf.requires_grad:
            leaves.append(self.leaf)
        kernel = getattr(self.physics, "filter", None)
        if isinstance(kernel, Tensor) and kernel.requires_grad:
            leaves.append(kernel)
        return tuple(leaves)

    def _physics(self, problem: AttackProblem, dtype: torch.dtype, random: torch.Generator) -> LinearPhysics:
        if problem.physics == "denoising":
            return Denoising()
        if problem.physics == "inpainting":
            mask = (torch.rand(1, problem.size, problem.size, generator=random, dtype=F64) > 0.3).to(dtype)
            channels = 3 if problem.map in ("colours", "both") else 1
            return Inpainting(
                img_size=(channels, problem.size, problem.size),  # pyright: ignore[reportArgumentType]
                mask=mask.expand(channels, -1, -1),
            )
        kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=dtype)[None, None] / 16
        kernel.requires_grad_(problem.leaf == "kernel")
        return Blur(filter=kernel, padding="circular")

    def _kink(self) -> None:
        """Set a weight so that the median coefficient of the first iterate lies at its kink (first channel)."""
        prior, bound = self.operator.prior, self.operator.bind(self.data, self.physics)
        start = self.operator.start(self.physics.A_adjoint(self.data))
        z, step = self.operator.prox_argument(start, bound.data)  # pyright: ignore
        sizes = prior.argument(z, step)[0, 0].abs().flatten()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
        median = sizes.sort().values[len(sizes) // 2]
        threshold = (median - prior.smoothing * (1 + step * prior.ridge)).clamp_min(1e-6)  # pyright: ignore
        prior.log_weights.flatten()[0] = (threshold / step).log()


def _build_layer(problem: AttackProblem, dtype: torch.dtype) -> BuiltProblem:
    T = _Layer(problem, dtype)
    x0 = torch.zeros_like(T.y)
    return BuiltProblem(T, x0, _loss(problem, T, x0, (T.c,)), (T.c,))


def _build_operator(problem: AttackProblem, dtype: torch.dtype) -> BuiltProblem:
    T = _Step(problem, dtype)
    x0 = T.operator.start(T.physics.A_adjoint(T.data)).detach()
    leaves = T.leaves()
    return BuiltProblem(T, x0, _loss(problem, T, x0, leaves), leaves)


def _loss(problem: AttackProblem, T: Map, x0: Tensor, leaves: tuple[Tensor, ...]) -> SmoothLoss:
    scale = max(1.0, problem.big) if problem.map not in LAYERS else 1.0
    truth = scale * torch.linspace(0, 1, x0.numel(), dtype=x0.dtype).view_as(x0)
    factor = 2 / x0.numel()

    def mse(x: Tensor) -> Tensor:
        return (x - truth).square().mean()

    if problem.loss == "mse":
        return SmoothLoss(mse, factor)
    theta: Callable[[], Tensor] = leaves[0].sum
    # The derivative of Σθ · mean(x) is mean(x) in each entry of θ, and Σθ / n in each entry of x.
    H = math.sqrt(leaves[0].numel()) / math.sqrt(x0.numel())
    return SmoothLoss(lambda x: mse(x) + theta() * x.mean(), factor, H, [leaves[0]])
