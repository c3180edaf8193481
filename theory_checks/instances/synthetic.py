"""Synthetic cases with exactly known constants, and Hypothesis strategies that draw them.

All tensors are float64, and small enough for dense Jacobians. The repr of a case is the call that makes it, so that a
counter-example found by Hypothesis can be pasted.
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
class QuadraticLoss:
    """``ℓ(x, θ) = q/2 ‖x − t‖² + ⟨θ, Mx⟩``.

    Its gradient in x has the Lipschitz constant ``Λ = q``; its partial derivative in θ is ``h = Mx``.

    Attributes:
        target: t, of shape ``(n,)``.
        q: curvature.
        M: coupling of x and θ, of shape ``(p, n)``.
    """

    target: Tensor
    q: float
    M: Tensor

    def __call__(self, x: Tensor, theta: Tensor) -> Tensor:
        """The value of the loss, a scalar."""
        return self.q / 2 * (x - self.target).square().sum() + theta @ (self.M @ x)

    def cotangent(self, x: Tensor, theta: Tensor) -> Tensor:
        """``∂ℓ/∂x`` in closed form. Autograd of the value would repeat a mistake in the value (e.g. mean for sum)."""
        return self.q * (x - self.target) + self.M.T @ theta


@dataclass(frozen=True, eq=False)
class Case:
    """A map with one parameter vector, a start, a loss, and constants that hold on all of Rⁿ.

    Attributes:
        name: the call that makes the case.
        T: the map ``x -> T(x)``, x of shape ``(n,)``, with a parameter ``theta`` of shape ``(p,)``.
        x0: the start, of shape ``(n,)``.
        loss: the training loss.
        L: Lipschitz constant of T in x, in the 2-norm.
        M_J, M_B: Lipschitz constants in x of ``J = ∂T/∂x`` and ``B = ∂T/∂θ``.
        sharp: whether bounds of THEORY are attained on this case.
        samples: size of the batch. Solvers see a state of shape ``(samples, n/samples)``; see ``batches``.
    """

    name: str
    T: ParametricMap
    x0: Tensor
    loss: QuadraticLoss
    L: float
    M_J: float
    M_B: float
    sharp: bool = field(default=False)
    samples: int = 1

    def __repr__(self) -> str:
        return self.name


class ParametricMap(nn.Module):
    """A map on flat states with one parameter vector ``theta``."""

    theta: nn.Parameter


class AffineMap(ParametricMap):
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
        """Apply the map once; x has shape ``(n,)``."""
        return self.W @ x + self.V @ self.theta + self.c


class TanhMap(AffineMap):
    """``tanh(Wx + Vθ + c)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map once; x has shape ``(n,)``."""
        return torch.tanh(super().forward(x))


class NetworkMap(AffineMap):
    """``U tanh(Wx + Vθ) + c``: a two-layer network with normalised weights."""

    U: Tensor

    def __init__(self, U: Tensor, W: Tensor, V: Tensor, c: Tensor, theta: Tensor) -> None:
        super().__init__(W, V, c, theta)
        self.register_buffer("U", U)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map once; x has shape ``(n,)``."""
        return self.U @ torch.tanh(self.W @ x + self.V @ self.theta) + self.c


class ScalingMap(ParametricMap):
    """``θx + c`` with a single θ. The ``K L^(K−1)`` term of C6 is attained on it."""

    c: Tensor

    def __init__(self, theta: Tensor, c: Tensor) -> None:
        super().__init__()
        self.register_buffer("c", c)
        self.theta = nn.Parameter(theta)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map once; x has shape ``(n,)``."""
        return self.theta * x + self.c


class CurvedMap(ParametricMap):
    """``θ + Lx − M x|x|/2`` for ``|x| ≤ L/M``, constant beyond: the slope is L at 0 and decreases with ``|x|``."""

    def __init__(self, L: float, M: float) -> None:
        super().__init__()
        self.L, self.M = L, M
        self.theta = nn.Parameter(torch.zeros(1, dtype=F64))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the map once; x has shape ``(n,)``."""
        size = x.clamp(-self.L / self.M, self.L / self.M)
        return self.theta + self.L * size - self.M / 2 * size * size.abs()


def standard_normal(seed: int, *shape: int) -> Tensor:
    """A float64 tensor of standard normal entries, drawn with ``seed``."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def scaled_to_norm(M: Tensor, norm: float) -> Tensor:
    """The matrix ``M``, scaled to a 2-norm of ``norm``."""
    return M * (norm / torch.linalg.matrix_norm(M, 2))


def _loss(seed: int, n: int, p: int, direct: bool) -> QuadraticLoss:
    M = 0.3 * standard_normal(seed + 5, p, n) if direct else torch.zeros(p, n, dtype=F64)
    return QuadraticLoss(standard_normal(seed + 3, n), 1.0, M)


def isotropic(n: int, L: float, seed: int, sign: int = 1) -> Case:
    """``sign·Lx + θ + c``. Bounds on the error of a gradient are attained on it."""
    theta, c = standard_normal(seed, n), standard_normal(seed + 1, n)
    T = AffineMap(sign * L * torch.eye(n, dtype=F64), torch.eye(n, dtype=F64), c, theta)
    name = f"isotropic(n={n}, L={L!r}, seed={seed}, sign={sign})"
    return Case(name, T, standard_normal(seed + 2, n), _loss(seed, n, n, False), L, 0.0, 0.0, sharp=sign > 0)


def affine(n: int, p: int, L: float, seed: int, direct: bool = False) -> Case:
    """``Wx + Vθ + c`` with a general W of 2-norm L. With ``direct``, the loss depends on θ directly too."""
    W, V = scaled_to_norm(standard_normal(seed + 10, n, n), L), standard_normal(seed + 11, n, p)
    T = AffineMap(W, V, standard_normal(seed + 1, n), standard_normal(seed, p))
    name = f"affine(n={n}, p={p}, L={L!r}, seed={seed}, direct={direct})"
    return Case(name, T, standard_normal(seed + 2, n), _loss(seed, n, p, direct), L, 0.0, 0.0)


def symmetric(n: int, p: int, L: float, seed: int) -> Case:
    """``Wx + Vθ + c`` with a symmetric W whose eigenvalues are spread evenly over ``[0, L]``."""
    Q = torch.linalg.qr(standard_normal(seed + 10, n, n)).Q
    W = Q @ torch.diag(torch.linspace(0, L, n, dtype=F64) if n > 1 else torch.tensor([L], dtype=F64)) @ Q.T
    T = AffineMap(W, standard_normal(seed + 11, n, p), standard_normal(seed + 1, n), standard_normal(seed, p))
    name = f"symmetric(n={n}, p={p}, L={L!r}, seed={seed})"
    return Case(name, T, standard_normal(seed + 2, n), _loss(seed, n, p, False), L, 0.0, 0.0)


def tanh(n: int, p: int, L: float, seed: int, direct: bool = False) -> Case:
    """``tanh(Wx + Vθ + c)`` with ``‖W‖ = L``; its constants are those of THEORY C6."""
    W, V = scaled_to_norm(standard_normal(seed + 10, n, n), L), standard_normal(seed + 11, n, p)
    T = TanhMap(W, V, 0.3 * standard_normal(seed + 1, n), 0.3 * standard_normal(seed, p))
    size = float(torch.linalg.matrix_norm(V, 2))
    name = f"tanh(n={n}, p={p}, L={L!r}, seed={seed}, direct={direct})"
    return Case(
        name, T, standard_normal(seed + 2, n), _loss(seed, n, p, direct), L, TANH2 * L**2, TANH2 * L * size
    )


def network(n: int, L: float, seed: int) -> Case:
    """``U tanh(Wx + θ) + c`` with ``‖U‖‖W‖ = L``; its constants are those of PROOFS S8."""
    m = n + 1
    W, U = (
        scaled_to_norm(standard_normal(seed + 10, m, n), 1.2),
        scaled_to_norm(standard_normal(seed + 12, n, m), L / 1.2),
    )
    T = NetworkMap(
        U, W, torch.eye(m, dtype=F64), standard_normal(seed + 1, n), 0.3 * standard_normal(seed, m)
    )
    row = float(torch.linalg.vector_norm(W, dim=1).max())
    name = f"network(n={n}, L={L!r}, seed={seed})"
    return Case(
        name,
        T,
        standard_normal(seed + 2, n),
        _loss(seed, n, m, False),
        L,
        L * TANH2 * row,
        L / 1.2 * TANH2 * row,
    )


def scaling(L: float, c: float, x0: float) -> Case:
    """``θx + c`` at ``θ = L``, with the loss ``x``. The trajectory term of C6 is attained on it (PROOFS S5)."""
    one = torch.ones(1, dtype=F64)
    T = ScalingMap(L * one, c * one)
    loss = LinearLoss(one, 0.0, torch.zeros(1, 1, dtype=F64))
    return Case(f"scaling(L={L!r}, c={c!r}, x0={x0!r})", T, x0 * one, loss, L, 0.0, 1.0, sharp=True)


def bent(L: float, M: float, x0: float) -> Case:
    """A scalar map whose slope is largest at the equilibrium 0. J changes with x, but B does not."""
    one = torch.ones(1, dtype=F64)
    loss = LinearLoss(one, 0.0, torch.zeros(1, 1, dtype=F64))
    return Case(f"bent(L={L!r}, M={M!r}, x0={x0!r})", CurvedMap(L, M), x0 * one, loss, L, M, 0.0)


class LinearLoss(QuadraticLoss):
    """``⟨target, x⟩ + ⟨θ, Mx⟩``: a loss without curvature, ``Λ = 0``."""

    def __call__(self, x: Tensor, theta: Tensor) -> Tensor:
        """The value of the loss, a scalar."""
        return self.target @ x + theta @ (self.M @ x)

    def cotangent(self, x: Tensor, theta: Tensor) -> Tensor:
        """``∂ℓ/∂x`` in closed form."""
        return self.target + self.M.T @ theta


seeds = st.integers(0, 10_000)
sizes = st.integers(1, 5)
parameters = st.integers(1, 4)
mild = st.sampled_from((0.3, 0.5, 0.8, 0.9, 0.95))
"""Contraction factors for which plain iterations end soon, and an adjoint visibly decays."""
factors = st.sampled_from((0.3, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999))
"""Contraction factors up to ``1/(1−L) = 1000``, which exposes a bound that forgets or squares that factor."""
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
"""Cases for certificates, including maps on which J changes and B does not."""
hard_factors = st.floats(0.05, 6).map(lambda digits: 1 - 10**-digits)
"""Contraction factors from 0.1 to 1 − 10⁻⁶, evenly in the logarithm of ``1 − L``."""
hard_sizes = st.integers(1, 50)
hard_contractions = st.one_of(
    st.builds(isotropic, hard_sizes, hard_factors, seeds),
    st.builds(affine, hard_sizes, hard_sizes, hard_factors, seeds, st.booleans()),
    st.builds(symmetric, hard_sizes, hard_sizes, hard_factors, seeds),
    st.builds(tanh, hard_sizes, hard_sizes, hard_factors, seeds, st.booleans()),
    st.builds(network, hard_sizes, hard_factors, seeds),
    st.builds(scaling, hard_factors, st.sampled_from((-1.0, 0.5, 2.0)), st.floats(-1e3, 1e3)),
)
hard_depths = st.integers(1, 60)

FAMILIES: dict[str, Callable[..., Case]] = {
    f.__name__: f for f in (isotropic, affine, symmetric, tanh, network, scaling, bent)
}
