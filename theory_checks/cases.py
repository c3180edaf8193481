"""Instances that carry their own exact constants, and strategies that draw them.

Everything is float64 and small enough for dense Jacobians. A case prints as the call that makes it, so that what
Hypothesis shrinks to can be pasted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

F64 = torch.float64
TANH2 = 4 / (3 * 3**0.5)
"""``sup |tanh''|``."""


@dataclass(frozen=True, slots=True)
class Loss:
    """``ℓ(x, θ) = q/2 ‖x − t‖² + ⟨θ, Mx⟩``: gradient Lipschitz constant ``Λ = q``, direct dependence ``h = Mx``."""

    target: Tensor
    q: float
    M: Tensor

    def __call__(self, x: Tensor, theta: Tensor) -> Tensor:
        """The value, a scalar."""
        return self.q / 2 * (x - self.target).square().sum() + theta @ (self.M @ x)

    def cotangent(self, x: Tensor, theta: Tensor) -> Tensor:
        """``∂ℓ/∂x`` in closed form: the value above, wrongly reduced, would not be noticed by its own autograd."""
        return self.q * (x - self.target) + self.M.T @ theta


@dataclass(frozen=True, eq=False)
class Case:
    """A map with one parameter vector ``theta``, a start, a loss, and constants valid on all of Rⁿ.

    Attributes:
        name: the call that makes it.
        T: ``x -> T(x)``, ``x`` of shape ``(n,)``, with the parameter ``theta`` of shape ``(p,)``.
        x0: the start.
        loss: the training loss.
        L: Lipschitz constant of T in x, in the 2-norm.
        M_J, M_B: Lipschitz constants in x of ``J = ∂T/∂x`` and ``B = ∂T/∂θ``.
        sharp: the bounds of THEORY are attained on it.
        samples: of a batch, which solvers are given as ``(samples, n/samples)``; see ``batches``.
    """

    name: str
    T: Parametric
    x0: Tensor
    loss: Loss
    L: float
    M_J: float
    M_B: float
    sharp: bool = field(default=False)
    samples: int = 1

    def __repr__(self) -> str:
        return self.name


class Parametric(nn.Module):
    """A map with one parameter vector ``theta``."""

    theta: nn.Parameter


class Affine(Parametric):
    """``Wx + Vθ + c``."""

    W: Tensor
    V: Tensor
    c: Tensor

    def __init__(self, W: Tensor, V: Tensor, c: Tensor, theta: Tensor) -> None:
        super().__init__()
        for name, value in (("W", W), ("V", V), ("c", c)):
            self.register_buffer(name, value)
        self.theta = nn.Parameter(theta)

    def forward(self, x: Tensor) -> Tensor:
        """One application."""
        return self.W @ x + self.V @ self.theta + self.c


class Tanh(Affine):
    """``tanh(Wx + Vθ + c)``."""

    def forward(self, x: Tensor) -> Tensor:
        """One application."""
        return torch.tanh(super().forward(x))


class Network(Affine):
    """``U tanh(Wx + θ) + c``: a spectrally normalised two-layer network."""

    U: Tensor

    def __init__(self, U: Tensor, W: Tensor, V: Tensor, c: Tensor, theta: Tensor) -> None:
        super().__init__(W, V, c, theta)
        self.register_buffer("U", U)

    def forward(self, x: Tensor) -> Tensor:
        """One application."""
        return self.U @ torch.tanh(self.W @ x + self.V @ self.theta) + self.c


class Scaling(Parametric):
    """``θx + c`` with a single θ: the map on which the ``K L^(K−1)`` term is exact."""

    c: Tensor

    def __init__(self, theta: Tensor, c: Tensor) -> None:
        super().__init__()
        self.register_buffer("c", c)
        self.theta = nn.Parameter(theta)

    def forward(self, x: Tensor) -> Tensor:
        """One application."""
        return self.theta * x + self.c


class Bent(Parametric):
    """``θ + Lx − M x|x|/2`` up to ``|x| = L/M``, and constant beyond: the slope falls from L at 0."""

    def __init__(self, L: float, M: float) -> None:
        super().__init__()
        self.L, self.M = L, M
        self.theta = nn.Parameter(torch.zeros(1, dtype=F64))

    def forward(self, x: Tensor) -> Tensor:
        """One application."""
        size = x.clamp(-self.L / self.M, self.L / self.M)
        return self.theta + self.L * size - self.M / 2 * size * size.abs()


def normal(seed: int, *shape: int) -> Tensor:
    """Standard normal entries, float64, decided by ``seed``."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def of_norm(M: Tensor, norm: float) -> Tensor:
    """``M`` scaled to the given 2-norm."""
    return M * (norm / torch.linalg.matrix_norm(M, 2))


def _loss(seed: int, n: int, p: int, direct: bool) -> Loss:
    M = 0.3 * normal(seed + 5, p, n) if direct else torch.zeros(p, n, dtype=F64)
    return Loss(normal(seed + 3, n), 1.0, M)


def isotropic(n: int, L: float, seed: int, sign: int = 1) -> Case:
    """``±Lx + θ + c``, a loss along one direction: bounds of the derivative are attained."""
    theta, c = normal(seed, n), normal(seed + 1, n)
    T = Affine(sign * L * torch.eye(n, dtype=F64), torch.eye(n, dtype=F64), c, theta)
    name = f"isotropic(n={n}, L={L!r}, seed={seed}, sign={sign})"
    return Case(name, T, normal(seed + 2, n), _loss(seed, n, n, False), L, 0.0, 0.0, sharp=sign > 0)


def affine(n: int, p: int, L: float, seed: int, direct: bool = False) -> Case:
    """A general affine map, not symmetric."""
    W, V = of_norm(normal(seed + 10, n, n), L), normal(seed + 11, n, p)
    T = Affine(W, V, normal(seed + 1, n), normal(seed, p))
    name = f"affine(n={n}, p={p}, L={L!r}, seed={seed}, direct={direct})"
    return Case(name, T, normal(seed + 2, n), _loss(seed, n, p, direct), L, 0.0, 0.0)


def symmetric(n: int, p: int, L: float, seed: int) -> Case:
    """An affine map with a symmetric positive semidefinite Jacobian of known spectrum, L the largest."""
    Q = torch.linalg.qr(normal(seed + 10, n, n)).Q
    W = Q @ torch.diag(torch.linspace(0, L, n, dtype=F64) if n > 1 else torch.tensor([L], dtype=F64)) @ Q.T
    T = Affine(W, normal(seed + 11, n, p), normal(seed + 1, n), normal(seed, p))
    name = f"symmetric(n={n}, p={p}, L={L!r}, seed={seed})"
    return Case(name, T, normal(seed + 2, n), _loss(seed, n, p, False), L, 0.0, 0.0)


def tanh(n: int, p: int, L: float, seed: int, direct: bool = False) -> Case:
    """``tanh(Wx + Vθ + c)`` with ``‖W‖ = L``: THEORY C6's constants."""
    W, V = of_norm(normal(seed + 10, n, n), L), normal(seed + 11, n, p)
    T = Tanh(W, V, 0.3 * normal(seed + 1, n), 0.3 * normal(seed, p))
    size = float(torch.linalg.matrix_norm(V, 2))
    name = f"tanh(n={n}, p={p}, L={L!r}, seed={seed}, direct={direct})"
    return Case(name, T, normal(seed + 2, n), _loss(seed, n, p, direct), L, TANH2 * L**2, TANH2 * L * size)


def network(n: int, L: float, seed: int) -> Case:
    """``U tanh(Wx + θ) + c`` with ``‖U‖‖W‖ = L``: PROOFS S8's constants."""
    m = n + 1
    W, U = of_norm(normal(seed + 10, m, n), 1.2), of_norm(normal(seed + 12, n, m), L / 1.2)
    T = Network(U, W, torch.eye(m, dtype=F64), normal(seed + 1, n), 0.3 * normal(seed, m))
    row = float(torch.linalg.vector_norm(W, dim=1).max())
    name = f"network(n={n}, L={L!r}, seed={seed})"
    return Case(
        name, T, normal(seed + 2, n), _loss(seed, n, m, False), L, L * TANH2 * row, L / 1.2 * TANH2 * row
    )


def scaling(L: float, c: float, x0: float) -> Case:
    """``θx + c`` at ``θ = L``, loss ``x``: the trajectory term of C6 is attained (PROOFS S5)."""
    one = torch.ones(1, dtype=F64)
    T = Scaling(L * one, c * one)
    # With M = 0 and q = 0 the loss is constant; a linear one is q → 0 with a far target.
    loss = Linear(one, 0.0, torch.zeros(1, 1, dtype=F64))
    return Case(f"scaling(L={L!r}, c={c!r}, x0={x0!r})", T, x0 * one, loss, L, 0.0, 1.0, sharp=True)


def bent(L: float, M: float, x0: float) -> Case:
    """A scalar map whose slope is largest at the equilibrium 0, and whose B does not change: only J does."""
    one = torch.ones(1, dtype=F64)
    loss = Linear(one, 0.0, torch.zeros(1, 1, dtype=F64))
    return Case(f"bent(L={L!r}, M={M!r}, x0={x0!r})", Bent(L, M), x0 * one, loss, L, M, 0.0)


class Linear(Loss):
    """``⟨target, x⟩ + ⟨θ, Mx⟩``: a loss without curvature (``Λ = 0``)."""

    def __call__(self, x: Tensor, theta: Tensor) -> Tensor:
        """The value, a scalar."""
        return self.target @ x + theta @ (self.M @ x)

    def cotangent(self, x: Tensor, theta: Tensor) -> Tensor:
        """``∂ℓ/∂x`` in closed form."""
        return self.target + self.M.T @ theta


seeds = st.integers(0, 10_000)
sizes = st.integers(1, 5)
parameters = st.integers(1, 4)
mild = st.sampled_from((0.3, 0.5, 0.8, 0.9, 0.95))
"""Where plain iterations end soon, and an adjoint is seen to shrink."""
factors = st.sampled_from((0.3, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999))
"""Up to where ``1/(1−L)`` is a thousand: a bound that forgets it, or squares it, shows."""
depths = st.integers(1, 12)
restarts = st.integers(0, 5)

isotropics = st.builds(isotropic, sizes, factors, seeds)
affines = st.builds(affine, sizes, parameters, factors, seeds, st.booleans())
symmetrics = st.builds(symmetric, sizes, parameters, factors, seeds)
tanhs = st.builds(tanh, sizes, parameters, factors, seeds, st.booleans())
networks = st.builds(network, sizes, factors, seeds)
scalings = st.builds(scaling, factors, st.sampled_from((-1.0, 0.5, 2.0)), st.sampled_from((-2.0, 0.0, 3.0)))
contractions = st.one_of(isotropics, affines, symmetrics, tanhs, networks, scalings)
mild_contractions = st.one_of(
    st.builds(isotropic, sizes, mild, seeds),
    st.builds(affine, sizes, parameters, mild, seeds, st.booleans()),
    st.builds(tanh, sizes, parameters, mild, seeds, st.booleans()),
    st.builds(network, sizes, mild, seeds),
)
bents = st.builds(bent, factors, st.sampled_from((0.1, 0.5, 2.0)), st.sampled_from((-1.0, 0.2, 1.0)))
certifiable = st.one_of(contractions, bents)
"""What is certified: also where the derivative in x alone changes."""

FAMILIES: dict[str, Callable[..., Case]] = {
    f.__name__: f for f in (isotropic, affine, symmetric, tanh, network, scaling, bent)
}
