"""C41. The contraction factor of plug-and-play Douglas–Rachford splitting.

``T(z) = z + D(2x − z) − x`` with ``x = prox_{γf}(z)``, f μ-strongly convex and ``D − I`` ε-Lipschitz satisfies
``‖T^N a − T^N b‖ ≤ L^N ‖a − b‖`` with, for ``m = γμ``,

    L = (1 + ε + εm + 2ε²m)/(1 + m + 2εm),

which is below 1 exactly if ε < 1 and ``m > ε/((1 + 2ε)(1 − ε))`` (Ryu et al., Theorem 2). That is not attained. With
the same assumptions L can be replaced by the smaller

    (1 + ε|m − 1|)/(1 + m)   if |m − 1| ≥ 4εm,   otherwise   √(ε² + 1/(4m)),

which is: by an eigenvector of f for μ, or by a state between one and a direction in which f confines x, and a D − I
that turns the reflected state into the direction of x. It is below 1 exactly for ``m > ε/(1 + ε)`` if ε ≤ ½, and for
``m > 1/(4(1 − ε²))`` if ½ ≤ ε < 1.

*Proof.* Let d, p and r = 2p − d be the differences of two states, of their proxes and of their reflections. Then
``T(a) − T(b) = p + (D − I)(r)``, of norm at most ``‖p‖ + ε‖r‖``. Strong convexity gives ``(1 + m)‖p‖² ≤ ⟨p, d⟩``, so
``‖r‖² = ‖d‖² − 4⟨p, d⟩ + 4‖p‖² ≤ ‖d‖² − 4m‖p‖²`` and ``‖p‖ ≤ ‖d‖/(1 + m)``. The largest value of
``s + ε√(1 − 4ms²)`` over ``0 ≤ s ≤ 1/(1 + m)`` is the one above.

Source: Ryu et al., *Plug-and-play methods provably converge* (arXiv 1905.05406); PROOFS C41 for the attained factor.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor

from bench.operators import DataFidelity, DouglasRachford, data_fidelity
from solvers import Map, unrolled

from ..engine import Claim, Sides
from ..instances import standard_normal
from ..instances.splittings import TrivialRegulariser, curvatures, ridges
from ..instances.variational import (
    Acquisition,
    acquire,
    acquisitions,
    distance,
    photograph_numbers,
    photographs,
)
from .c16_plug_and_play import Network, networks


def published_factor(epsilon: float, m: float) -> float:
    """L of Ryu et al. for ``D − I`` ε-Lipschitz and ``m = γμ``."""
    return (1 + epsilon + epsilon * m + 2 * epsilon**2 * m) / (1 + m + 2 * epsilon * m)


def attained_factor(epsilon: float, m: float) -> float:
    """The smallest L for the same assumptions."""
    if abs(m - 1) >= 4 * epsilon * m:
        return along_eigenvector(epsilon, m)
    return math.sqrt(epsilon**2 + 1 / (4 * m))


def along_eigenvector(epsilon: float, m: float) -> float:
    """The largest factor along an eigenvector of f for μ."""
    return (1 + epsilon * abs(m - 1)) / (1 + m)


def splitting_step(prox: Map, denoise: Map, z: Tensor) -> Tensor:
    """``z + D(2x − z) − x`` with ``x = prox(z)``."""
    x = prox(z)
    return z + denoise(2 * x - z) - x


@dataclass(frozen=True, slots=True)
class DenoisedPhotograph:
    """The map with a real data term, a ridge, and ``D = I − εN`` for a nonexpansive network N."""

    acquisition: Acquisition
    network: Network
    epsilon: float
    ridge: float
    m: float
    photograph: int

    @property
    def gamma(self) -> float:
        """γ."""
        return self.m / curvatures(acquire(self.acquisition), self.ridge)[0]

    def T(self, z: Tensor) -> Tensor:
        """Apply the map once; z has the shape of the image."""
        operator, term = _data_operator(self.acquisition, self.ridge, self.gamma)
        return splitting_step(
            lambda z: operator.data_prox(z, term), lambda y: y - self.epsilon * self.network(y), z
        )

    def pair(self) -> tuple[Tensor, Tensor]:
        """A crop, and the crop moved along an eigenvector for μ."""
        data = acquire(self.acquisition)
        other = photographs(data.truth.shape[1])[self.photograph][None]
        return data.truth, data.truth + 0.1 * data.modes(other, data.alpha)


@functools.lru_cache(maxsize=256)
def _data_operator(
    acquisition: Acquisition, ridge: float, gamma: float
) -> tuple[DouglasRachford, DataFidelity]:
    data = acquire(acquisition)
    return DouglasRachford(TrivialRegulariser(True, 0.0), gamma, ridge), data_fidelity(data.y, data.physics)


@dataclass(frozen=True, slots=True)
class LinearDenoiser:
    """The map with ``D = I + εQ``, Q orthogonal, and a quadratic f in a random basis.

    Attributes:
        n: size of a state. The curvatures of f are μ in the first directions of the basis, infinite in the second, and
            multiples of μ in all others.
        epsilon: ε; ``m`` is γμ.
        seed: of the basis and of Q.
        worst: whether Q and the pair of states are those of the worst case.
    """

    n: int
    epsilon: float
    m: float
    seed: int
    worst: bool

    def basis(self) -> Tensor:
        """The eigenvectors of f, in columns."""
        return torch.linalg.qr(standard_normal(self.seed, self.n, self.n)).Q

    def prox(self, z: Tensor) -> Tensor:
        """``prox_{γf}(z)``, of shape ``(n,)``."""
        V = self.basis()
        multiples = torch.tensor([1.0, math.inf, *(1.5 * k for k in range(1, self.n - 1))], dtype=z.dtype)
        return V @ ((V.T @ z) / (1 + self.m * multiples))

    def direction(self) -> Tensor:
        """The difference of the two states: the worst one, or a random one."""
        if not self.worst:
            return standard_normal(self.seed + 1, self.n)
        share = (1 + self.m) ** 2 / (4 * self.m * (1 + 4 * self.m * self.epsilon**2))
        cosine = math.sqrt(min(1.0, share))
        V = self.basis()
        return cosine * V[:, 0] + math.sqrt(1 - cosine**2) * V[:, 1]

    def rotation(self) -> Tensor:
        """Q: the worst one turns the reflection of ``direction`` into the direction of its prox."""
        if not self.worst:
            return torch.linalg.qr(standard_normal(self.seed + 2, self.n, self.n)).Q
        d = self.direction()
        p = self.prox(d)
        r = 2 * p - d
        identity = torch.eye(self.n, dtype=d.dtype)
        axis = r / r.norm() - p / p.norm() if r.norm() > 0 else torch.zeros_like(d)
        if axis.norm() < 1e-9:
            return identity
        return identity - 2 * torch.outer(axis, axis) / axis.square().sum()

    def T(self, z: Tensor) -> Tensor:
        """Apply the map once; z has shape ``(n,)``."""
        return splitting_step(self.prox, lambda y: y + self.epsilon * (self.rotation() @ y), z)

    def pair(self) -> tuple[Tensor, Tensor]:
        """Two states."""
        a = standard_normal(self.seed + 3, self.n)
        return a, a + self.direction()


def _sides(example: DenoisedPhotograph | LinearDenoiser, N: int, factor: float) -> Sides:
    (a, b), solver = example.pair(), unrolled(N)
    return Sides(
        distance(solver(example.T, a).x, solver(example.T, b).x), factor**N * distance(a, b), float(a.norm())
    )


epsilons = st.sampled_from((0.1, 0.02, 0.5, 0.8))
strengths = st.sampled_from((1.0, 0.2, 0.7, 1.5, 5.0, 0.05))
"""m = γμ."""
dense_sizes, dense_seeds = st.integers(2, 5), st.integers(0, 1000)
random_denoisers = st.builds(LinearDenoiser, dense_sizes, epsilons, strengths, dense_seeds, st.booleans())
turning_denoisers = st.builds(
    LinearDenoiser, dense_sizes, epsilons, st.sampled_from((1.0, 0.7, 1.5)), dense_seeds, st.just(True)
)
"""Attained, most of them between two eigenvectors of f."""
photographed = st.builds(
    DenoisedPhotograph, acquisitions(), networks, epsilons, ridges, strengths, photograph_numbers
)

CLAIM = Claim(
    id="C41",
    statement="‖T^N a − T^N b‖ ≤ [(1+ε+εγμ+2ε²γμ)/(1+γμ+2εγμ)]^N ‖a − b‖ for plug-and-play T_½, and a sharper one",
    source="arXiv 1905.05406; PROOFS C41",
    assumptions="f μ-strongly convex, D − I ε-Lipschitz",
    examples=st.one_of(
        st.tuples(st.one_of(random_denoisers, photographed), st.integers(1, 3)),
        st.tuples(turning_denoisers, st.integers(1, 3)),
    ),
    sides=lambda example, N: _sides(
        example,
        N,
        min(published_factor(example.epsilon, example.m), attained_factor(example.epsilon, example.m)),
    ),
    negative_control=lambda example, N: _sides(example, N, along_eigenvector(example.epsilon, example.m)),
    false_statement="eigenvectors of f are the worst: (1+ε|γμ−1|)/(1+γμ)",
    attained=True,
)
