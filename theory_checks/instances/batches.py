"""Batches whose samples differ in difficulty and in size, and the same cases in float32."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import Map

from . import synthetic
from .synthetic import F64, TANH2, Case, ParametricMap, QuadraticLoss, scaled_to_norm, standard_normal

FLOAT32_FACTOR = 1 + 1e-6
"""Factor by which the constants of a map may grow when its tensors are rounded to float32."""


class BatchMap(ParametricMap):
    """``φ(W_b x_b + V_b θ + c_b)`` for each sample b, with φ = tanh or the identity, and one θ for all samples.

    Args:
        W: weights of shape ``(samples, n, n)``.
        V: weights of shape ``(samples, n, p)``.
        c: offsets of shape ``(samples, n)``.
        theta: parameters of shape ``(p,)``.
        curved: whether φ is tanh.
    """

    W: Tensor
    V: Tensor
    c: Tensor

    def __init__(self, W: Tensor, V: Tensor, c: Tensor, theta: Tensor, curved: bool) -> None:
        super().__init__()
        for name, value in (("W", W), ("V", V), ("c", c)):
            self.register_buffer(name, value)
        self.curved = curved
        self.theta = torch.nn.Parameter(theta)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map to all samples; x has shape ``(samples * n,)``."""
        return self.apply_to(torch.arange(len(self.c)), x.view(self.c.shape)).flatten()

    def apply_to(self, index: Tensor, x: Tensor) -> Tensor:
        """Apply the map to the samples at ``index``; x has one row for each of them."""
        y = (self.W[index] @ x[..., None])[..., 0] + self.V[index] @ self.theta + self.c[index]
        return torch.tanh(y) if self.curved else y


@dataclass(frozen=True, slots=True)
class RowwiseMap:
    """A flat map, wrapped for solvers: one sample a row."""

    T: ParametricMap

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the map once; x has shape ``(samples, n)``."""
        return self.T(x.flatten()).view_as(x)


@dataclass(frozen=True, slots=True)
class SampleSubset:
    """The map on a subset of the samples of a batch. Implements ``solvers.SupportsSelect``."""

    T: BatchMap
    index: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the map once; x has one row for each sample of the subset."""
        return self.T.apply_to(self.index, x)

    def select(self, index: Tensor) -> SampleSubset:
        """The map on the samples at ``index`` of this subset."""
        return SampleSubset(self.T, self.index[index])


def solver_map(case: Case, divisible: bool = True) -> Map:
    """The map of a case in the form that solvers take.

    Args:
        case: any case.
        divisible: let solvers leave out samples that have converged, where the map of the batch allows it.
    """
    if case.samples == 1:
        return case.T
    if divisible and isinstance(case.T, BatchMap):
        return SampleSubset(case.T, torch.arange(case.samples))
    return RowwiseMap(case.T)


def solver_state(case: Case, x: Tensor) -> Tensor:
    """A flat state in the shape that solvers take: ``(samples, n)`` for a batch."""
    return x if case.samples == 1 else x.view(case.samples, -1)


def batch(
    samples: int,
    n: int,
    p: int,
    L: float,
    seed: int,
    curved: bool = False,
    symmetric: bool = False,
    spread: float = 1.0,
) -> Case:
    """A batch with one sample of contraction factor L and easier ones; sample b has the size ``spread^b``.

    The constants treat a batch as one long vector. J is block diagonal, so each constant is the largest of a sample.
    """
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(seed))
    sample_factors = [L * (1.0, 0.5, 0.1, 0.8)[int(k) % 4] for k in order]
    W = torch.stack([_linear(n, factor, seed + 20 * b, symmetric) for b, factor in enumerate(sample_factors)])
    size = spread ** torch.arange(samples, dtype=F64)[:, None]
    V = standard_normal(seed + 11, samples, n, p) * size[..., None]
    T = BatchMap(
        W, V, 0.3 * standard_normal(seed + 1, samples, n) * size, 0.3 * standard_normal(seed, p), curved
    )
    loss = QuadraticLoss(
        (standard_normal(seed + 3, samples, n) * size).flatten(), 1.0, torch.zeros(p, samples * n, dtype=F64)
    )
    x0 = (standard_normal(seed + 2, samples, n) * size).flatten()
    wide = max(float(torch.linalg.matrix_norm(one, 2)) for one in V)
    M_J, M_B = (TANH2 * L**2, TANH2 * L * wide) if curved else (0.0, 0.0)
    name = (
        f"batch(samples={samples}, n={n}, p={p}, L={L!r}, seed={seed}, curved={curved}, "
        f"symmetric={symmetric}, spread={spread!r})"
    )
    return Case(name, T, x0, loss, L, M_J, M_B, samples=samples)


def _linear(n: int, L: float, seed: int, symmetric: bool) -> Tensor:
    if not symmetric:
        return scaled_to_norm(standard_normal(seed + 10, n, n), L)
    Q = torch.linalg.qr(standard_normal(seed + 10, n, n)).Q
    return Q @ torch.diag(torch.linspace(L, -L / 2, n, dtype=F64)) @ Q.T


def in_float32(case: Case) -> tuple[Case, Case]:
    """A case rounded to float32: the rounded numbers in float64, and the same numbers in float32."""
    T = copy.deepcopy(case.T).float()
    target, M = case.loss.target.float(), case.loss.M.float()
    low = replace(
        case,
        name=f"{case.name} in float32",
        T=T,
        x0=case.x0.float(),
        loss=replace(case.loss, target=target, M=M),
        L=min(case.L * FLOAT32_FACTOR, 1 - 1e-7),
        M_J=case.M_J * FLOAT32_FACTOR,
        M_B=case.M_B * FLOAT32_FACTOR,
    )
    exact_loss = replace(case.loss, target=target.double(), M=M.double())
    return replace(low, T=copy.deepcopy(T).double(), x0=low.x0.double(), loss=exact_loss), low


many = st.integers(2, 4)
_batches = partial(
    st.builds, batch, many, st.integers(1, 4), synthetic.parameters, synthetic.factors, synthetic.seeds
)
batches = _batches(st.booleans())
"""Batches of samples of one size, one of them the hardest."""
symmetric_batches = _batches(st.just(False), st.just(True))
uneven = _batches(st.booleans(), st.booleans(), st.sampled_from((1.0, 2.0**-10, 2.0**10)))
"""Batches of samples of different sizes: a norm over the whole batch is that of the largest sample."""
