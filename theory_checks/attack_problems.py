"""Small problems on which certificates are attacked, each with the gradient of the same numbers in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from deepinv.physics import Blur, Denoising, Inpainting, LinearPhysics
from torch import Tensor

from bench.operators import ForwardBackward, Penalty
from bench.operators.groups import Groups
from bench.operators.weighted import portion
from solvers import GMRES, Anderson, Lipschitz, Map, Regularity, SmoothLoss, implicit

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
"""The reference is good to this times ``1/(1−L)²``, relatively."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A map, a loss, and what the gradient is in.

    Attributes:
        map: one of ``PENALTIES``; or ``layer``, ``0.9 tanh(Wx + c + y)`` with c and y that cancel; or ``affine``,
            ``0.9x + c + y``; or ``quotient``, ``0.9x + c/(c + 1) + y``, whose derivative cancels where c is large.
        physics: ``denoising``, ``deblurring`` or ``inpainting``.
        wavelet, size, batch: of the images.
        smoothing, ridge, weight: of the penalty.
        step: of the iteration, times the largest that is allowed.
        kink: put a weight where a coefficient of the first iterate has its kink.
        loss: ``mse``, or ``direct``: it sees the parameters too.
        leaf: besides those of the map: ``gain`` on y, ``kernel`` of a blur, ``step``, or none.
        big: what cancels in a layer; of an operator, data and weights are as large.
        seed: of all that is random.
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
class Made:
    """A problem in a dtype: its map, where to start, its loss, and the tensors that the gradient is in."""

    T: Map
    x0: Tensor
    loss: SmoothLoss
    leaves: tuple[Tensor, ...]


def make(problem: Problem, dtype: torch.dtype) -> Made:
    """The problem in ``dtype``; in float64 it has the numbers of the one in ``dtype``, see ``reference``."""
    return _layer(problem, dtype) if problem.map in LAYERS else _operator(problem, dtype)


@lru_cache(maxsize=4096)
def reference(problem: Problem, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The exact gradient in float64, at the numbers that the problem has in ``dtype``."""
    made = double(problem, make(problem, dtype))
    solver = implicit(Anderson(1e-14, 1200, memory=8), GMRES(1e-13, 300))
    return tuple(torch.autograd.grad(made.loss(solver(made.T, made.x0).x), made.leaves, allow_unused=False))


def double(problem: Problem, of: Made) -> Made:
    """The same numbers in float64."""
    made = make(problem, F64)
    if isinstance(made.T, _Layer):
        made.T.together = True
    with torch.no_grad():
        for mine, its in zip(_numbers(made.T), _numbers(of.T), strict=True):
            mine.copy_(its)
    if isinstance(made.T, _Step):
        made.T.bind()
    return Made(made.T, of.x0.double(), _loss(problem, made.T, of.x0.double(), made.leaves), made.leaves)


def _numbers(T: Map) -> list[Tensor]:
    """All tensors that a map is made of, in a fixed order."""
    assert isinstance(T, _Step | _Layer)
    return T.numbers()


class _Layer:
    """The layer of docs/certificates.md."""

    def __init__(self, problem: Problem, dtype: torch.dtype) -> None:
        random = torch.Generator().manual_seed(problem.seed)
        n = problem.size
        W = torch.randn(n, n, generator=random, dtype=F64)
        self.W = (0.999 * W / torch.linalg.matrix_norm(W, 2)).to(dtype)
        self.kind, self.together = problem.map, False
        divides = self.kind == "quotient"
        self.c = torch.full((n,), 1 + problem.big if divides else -problem.big, dtype=dtype).requires_grad_()
        y = 0.3 * torch.randn(problem.batch, n, generator=random, dtype=F64)
        self.y = (y if divides else y + problem.big).to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        if self.kind == "quotient":
            share = portion(self.c, torch.ones_like(self.c)) if self.together else self.c / (self.c + 1)
            return 0.9 * x + share + self.y
        z = x @ self.W.T if self.kind == "layer" else 0.9 * x
        z = z + (self.c + self.y) if self.together else z + self.c + self.y  # c and y cancel to the bit
        return 0.9 * torch.tanh(z) if self.kind == "layer" else z

    def regularity(self) -> Lipschitz:
        if self.kind != "layer":
            slope = 1.0 if self.kind == "affine" else float((self.c.detach() + 1).pow(-2).max())
            return Lipschitz(0.9, 0.0, 0.0, lambda x: slope * math.sqrt(len(x)), parameters=[self.c])
        return Lipschitz(0.9, 0.7, 0.7, lambda x: 0.9 * math.sqrt(len(x)), parameters=[self.c])

    def numbers(self) -> list[Tensor]:
        return [self.W, self.c, self.y]


class _Step:
    """An operator of the benchmark, whose measurements or physics may have a leaf of their own."""

    def __init__(self, problem: Problem, dtype: torch.dtype) -> None:
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
        """With the data of this moment."""
        self.T = self.operator.bind(self.leaf * self.data, self.physics)

    def __call__(self, x: Tensor) -> Tensor:
        return self.T(x)

    def regularity(self) -> Regularity | None:
        return self.T.regularity()  # pyright: ignore

    def pick(self, index: Tensor) -> Map:
        return self.T.pick(index)  # pyright: ignore

    def numbers(self) -> list[Tensor]:
        # The wavelets are what they are in float64: orthonormal, as the proof has them.
        return [*self.operator.parameters(), self.operator.log_step, self.data]

    def leaves(self) -> tuple[Tensor, ...]:
        found: list[Tensor] = list(self.operator.parameters())
        if self.leaf.requires_grad:
            found.append(self.leaf)
        filtered = getattr(self.physics, "filter", None)
        if isinstance(filtered, Tensor) and filtered.requires_grad:
            found.append(filtered)
        return tuple(found)

    def _physics(self, problem: Problem, dtype: torch.dtype, random: torch.Generator) -> LinearPhysics:
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
        """Weights such that a coefficient of the first iterate is at its kink, in the first channel."""
        prior, bound = self.operator.prior, self.operator.bind(self.data, self.physics)
        start = self.operator.start(self.physics.A_adjoint(self.data))
        z, step = self.operator.descend(start, bound.data)  # pyright: ignore
        sizes = prior.argument(z, step)[0, 0].abs().flatten()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
        at = sizes.sort().values[len(sizes) // 2]
        threshold = (at - prior.smoothing * (1 + step * prior.ridge)).clamp_min(1e-6)  # pyright: ignore
        prior.log_weights.flatten()[0] = (threshold / step).log()


def _layer(problem: Problem, dtype: torch.dtype) -> Made:
    T = _Layer(problem, dtype)
    x0 = torch.zeros_like(T.y)
    return Made(T, x0, _loss(problem, T, x0, (T.c,)), (T.c,))


def _operator(problem: Problem, dtype: torch.dtype) -> Made:
    T = _Step(problem, dtype)
    x0 = T.operator.start(T.physics.A_adjoint(T.data)).detach()
    leaves = T.leaves()
    return Made(T, x0, _loss(problem, T, x0, leaves), leaves)


def _loss(problem: Problem, T: Map, x0: Tensor, leaves: tuple[Tensor, ...]) -> SmoothLoss:
    scale = max(1.0, problem.big) if problem.map not in LAYERS else 1.0
    truth = scale * torch.linspace(0, 1, x0.numel(), dtype=x0.dtype).view_as(x0)
    factor = 2 / x0.numel()

    def mse(x: Tensor) -> Tensor:
        return (x - truth).square().mean()

    if problem.loss == "mse":
        return SmoothLoss(mse, factor)
    theta: Callable[[], Tensor] = leaves[0].sum
    # d/dθ of θ·⟨1, x⟩ / n is ⟨1, x⟩ / n for each entry of θ; θ also adds a constant to the cotangent.
    H = math.sqrt(leaves[0].numel()) / math.sqrt(x0.numel())
    return SmoothLoss(lambda x: mse(x) + theta() * x.mean(), factor, H, [leaves[0]])
