"""C16. The contraction factor of plug-and-play forward–backward.

``T(x) = D(x − τAᵀ(Ax − y))`` with ``D − I`` ε-Lipschitz satisfies ``‖T^N a − T^N b‖ ≤ L^N ‖a − b‖`` with
``L = (1 + ε) max(|1 − τα|, |1 − τβ|)``. Attained by the amplifier ``D = (1 + ε)I`` along an extreme eigenvector
of AᵀA. L < 1 exactly for ``1/(α(1 + 1/ε)) < τ < 2/β − 1/(β(1 + 1/ε))``, and for no τ if α = 0 (masks). The
inequality still holds then, but T need not contract.

The denoisers are ``D = I − εN`` with ``‖N‖_Lip ≤ 1``, which is known exactly: dense layers are orthogonal, and
the norm of a circular convolution is the largest singular value of its symbol.

Source: Ryu et al., *Plug-and-play methods provably converge* (arXiv 1905.05406); PROOFS S8(e).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.operators import contraction_factor
from solvers import unrolled

from ..engine import Claim, Sides
from ..instances.variational import (
    SIDE,
    Acquisition,
    GaussianBlur,
    Identity,
    LostPixels,
    MotionBlur,
    acquire,
    acquisitions,
    distance,
    photographs,
    steps,
)


@dataclass(frozen=True, slots=True)
class Negation:
    """``N(x) = −x``. The denoiser ``I − εN`` is the amplifier ``(1 + ε)I``."""

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the network once; x has the shape of a batch of images."""
        return -x


@dataclass(frozen=True, slots=True)
class ConvolutionalNetwork:
    """``C₂ ∘ tanh ∘ C₁`` with circular 3×3 convolutions through ``width`` channels, each of 2-norm 1."""

    width: int
    seed: int

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the network once; x has the shape of a batch of images."""
        first, second = unit_norm_kernels(x.shape[1], self.width, self.seed)
        return _convolve(second, torch.tanh(_convolve(first, x)))


@dataclass(frozen=True, slots=True)
class DenseNetwork:
    """``Q₂ tanh(Q₁ x)`` on the vector of all pixels, with orthogonal matrices."""

    seed: int

    def __call__(self, x: Tensor) -> Tensor:
        """Apply the network once; x has the shape of a batch of images."""
        first, second = orthogonal_pair(x[0].numel(), self.seed)
        return (torch.tanh(x.flatten(1) @ first.T) @ second.T).view_as(x)


Network = Negation | ConvolutionalNetwork | DenseNetwork


@functools.lru_cache(maxsize=64)
def unit_norm_kernels(channels: int, width: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two kernels of convolutions with 2-norm 1: ``(width, channels, 3, 3)`` and ``(channels, width, 3, 3)``."""
    rng = torch.Generator().manual_seed(seed)
    first = torch.randn(width, channels, 3, 3, generator=rng, dtype=torch.float64)
    second = torch.randn(channels, width, 3, 3, generator=rng, dtype=torch.float64)
    return first / circular_convolution_norm(first), second / circular_convolution_norm(second)


def circular_convolution_norm(kernel: Tensor) -> Tensor:
    """The 2-norm of a circular convolution of 16×16 images; its symbol is one small matrix for each frequency."""
    symbol = torch.fft.fft2(kernel, s=(SIDE, SIDE)).permute(2, 3, 0, 1)
    return torch.linalg.svdvals(symbol).max()


@functools.lru_cache(maxsize=4)
def orthogonal_pair(size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two random orthogonal matrices of shape ``(size, size)``."""
    rng = torch.Generator().manual_seed(seed)
    pair = torch.linalg.qr(torch.randn(2, size, size, generator=rng, dtype=torch.float64)).Q
    return pair[0], pair[1]


def _convolve(kernel: Tensor, x: Tensor) -> Tensor:
    return nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), kernel)


@dataclass(frozen=True, slots=True)
class PlugAndPlayMap:
    """The map ``D ∘ (I − τ∇f)`` with ``D = I − εN``."""

    acquisition: Acquisition
    network: Network
    epsilon: float
    step: float

    def T(self, x: Tensor) -> Tensor:
        """Apply the map once; x has the shape of the image."""
        data = acquire(self.acquisition)
        z = x - self.step * data.physics.A_adjoint(data.physics.A(x) - data.y)
        return z - self.epsilon * self.network(z)


def contraction_bound(alpha: float, beta: float, step: float, epsilon: float) -> float:
    """The bound ``(1 + ε) max(|1 − τα|, |1 − τβ|)`` on the contraction factor."""
    return (1 + epsilon) * contraction_factor((alpha, beta), step, 0.0)


def _sides(pnp: PlugAndPlayMap, N: int, along_mode: bool, photograph: int, amplifies: bool = True) -> Sides:
    data = acquire(pnp.acquisition)
    extreme = max(data.alpha, data.beta, key=lambda eigenvalue: abs(1 - pnp.step * eigenvalue))
    a, other = data.truth, photographs(data.truth.shape[1])[photograph][None]
    b = a + 0.1 * data.modes(other, extreme) if along_mode else other
    solver = unrolled(N)
    L = contraction_bound(data.alpha, data.beta, pnp.step, pnp.epsilon if amplifies else 0.0)
    return Sides(distance(solver(pnp.T, a).x, solver(pnp.T, b).x), L**N * distance(a, b), float(a.norm()))


networks: st.SearchStrategy[Network] = st.one_of(
    st.just(Negation()),
    st.builds(ConvolutionalNetwork, st.integers(1, 3), st.integers(0, 20)),
    st.builds(DenseNetwork, st.integers(0, 1)),
)
problems = st.builds(
    PlugAndPlayMap,
    # The last has α = 0: the inequality holds, but no step size makes T contract.
    acquisitions(
        st.sampled_from((Identity(), GaussianBlur(0.3), GaussianBlur(0.5), MotionBlur(3), LostPixels(0.5)))
    ),
    networks,
    st.sampled_from((0.1, 0.5, 0.02)),
    steps,
)

CLAIM = Claim(
    id="C16",
    statement="‖T^N a − T^N b‖ ≤ [(1+ε) max(|1−τα|, |1−τβ|)]^N ‖a − b‖ for plug-and-play",
    source="arXiv 1905.05406; PROOFS S8",
    assumptions="αI ≤ AᵀA ≤ βI, D − I ε-Lipschitz",
    examples=st.tuples(problems, st.integers(1, 4), st.booleans(), st.integers(0, 3)),
    sides=_sides,
    negative_control=lambda pnp, N, along_mode, photograph: _sides(pnp, N, along_mode, photograph, False),
    false_statement="the same without 1+ε",
    attained=True,
)
