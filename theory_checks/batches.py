"""Batches of samples that differ in difficulty and in size, and the same instances in float32."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import partial

import torch
from hypothesis import strategies as st
from torch import Tensor

from solvers import Map

from . import cases
from .cases import F64, TANH2, Case, Loss, Parametric, normal, of_norm

SINGLE = 1 + 1e-6
"""What rounding a map's tensors to float32 may do to its constants."""


class Together(Parametric):
    """``φ(W_b x_b + V_b θ + c_b)`` for each sample b, with φ = tanh or the identity; flat states, one θ for all.

    Args:
        W: ``(samples, n, n)``.
        V: ``(samples, n, p)``.
        c: ``(samples, n)``.
        theta: ``(p,)``.
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
        """One application to all samples, in a row."""
        return self.of(torch.arange(len(self.c)), x.view(self.c.shape)).flatten()

    def of(self, index: Tensor, x: Tensor) -> Tensor:
        """One application to the samples at ``index``, of which ``x`` has a row each."""
        y = (self.W[index] @ x[..., None])[..., 0] + self.V[index] @ self.theta + self.c[index]
        return torch.tanh(y) if self.curved else y


@dataclass(frozen=True, slots=True)
class Rows:
    """A flat map as solvers are given it: a sample a row."""

    T: Parametric

    def __call__(self, x: Tensor) -> Tensor:
        """One application to ``(samples, n)``."""
        return self.T(x.flatten()).view_as(x)


@dataclass(frozen=True, slots=True)
class Picked:
    """Some samples of a batch, which can be divided further: ``solvers.Divisible``."""

    T: Together
    index: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """One application to ``(samples, n)``."""
        return self.T.of(self.index, x)

    def pick(self, index: Tensor) -> Picked:
        """Those at ``index`` alone."""
        return Picked(self.T, self.index[index])


def given(case: Case, divisible: bool = True) -> Map:
    """The map of a case as a solver is given it; that of a batch can leave samples out, where it knows them."""
    if case.samples == 1:
        return case.T
    if divisible and isinstance(case.T, Together):
        return Picked(case.T, torch.arange(case.samples))
    return Rows(case.T)


def shaped(case: Case, x: Tensor) -> Tensor:
    """A flat state as a solver is given it."""
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
    """Samples of which one is as hard as L says, and the others easier; sample b is ``spread^b`` in size.

    To the constants a batch is one long vector: J is block diagonal, so each of them is the largest of a sample.
    """
    order = torch.randperm(samples, generator=torch.Generator().manual_seed(seed))
    hard = [L * (1.0, 0.5, 0.1, 0.8)[int(k) % 4] for k in order]
    W = torch.stack([_linear(n, factor, seed + 20 * b, symmetric) for b, factor in enumerate(hard)])
    size = spread ** torch.arange(samples, dtype=F64)[:, None]
    V = normal(seed + 11, samples, n, p) * size[..., None]
    T = Together(W, V, 0.3 * normal(seed + 1, samples, n) * size, 0.3 * normal(seed, p), curved)
    loss = Loss((normal(seed + 3, samples, n) * size).flatten(), 1.0, torch.zeros(p, samples * n, dtype=F64))
    x0 = (normal(seed + 2, samples, n) * size).flatten()
    wide = max(float(torch.linalg.matrix_norm(one, 2)) for one in V)
    M_J, M_B = (TANH2 * L**2, TANH2 * L * wide) if curved else (0.0, 0.0)
    name = (
        f"batch(samples={samples}, n={n}, p={p}, L={L!r}, seed={seed}, curved={curved}, "
        f"symmetric={symmetric}, spread={spread!r})"
    )
    return Case(name, T, x0, loss, L, M_J, M_B, samples=samples)


def _linear(n: int, L: float, seed: int, symmetric: bool) -> Tensor:
    if not symmetric:
        return of_norm(normal(seed + 10, n, n), L)
    Q = torch.linalg.qr(normal(seed + 10, n, n)).Q
    return Q @ torch.diag(torch.linspace(L, -L / 2, n, dtype=F64)) @ Q.T


def in_single(case: Case) -> tuple[Case, Case]:
    """A case whose every number is one of float32, in float64 and in float32."""
    T = copy.deepcopy(case.T).float()
    target, M = case.loss.target.float(), case.loss.M.float()
    low = replace(
        case,
        name=f"{case.name} in float32",
        T=T,
        x0=case.x0.float(),
        loss=replace(case.loss, target=target, M=M),
        L=min(case.L * SINGLE, 1 - 1e-7),
        M_J=case.M_J * SINGLE,
        M_B=case.M_B * SINGLE,
    )
    exact_loss = replace(case.loss, target=target.double(), M=M.double())
    return replace(low, T=copy.deepcopy(T).double(), x0=low.x0.double(), loss=exact_loss), low


many = st.integers(2, 4)
_batches = partial(st.builds, batch, many, st.integers(1, 4), cases.parameters, cases.factors, cases.seeds)
batches = _batches(st.booleans())
"""What a solver is given in training: several samples, one of them the hardest."""
symmetric_batches = _batches(st.just(False), st.just(True))
uneven = _batches(st.booleans(), st.booleans(), st.sampled_from((1.0, 2.0**-10, 2.0**10)))
"""The same, of different sizes too: a norm of the whole batch sees the largest alone."""
