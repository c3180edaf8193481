"""Penalties on coefficients from which the image is synthesised: a union of bases, and non-separable weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import cast

import torch
from torch import Tensor, nn

from solvers import DerivativeBounds

from ..operators.data_fidelity import DataFidelity
from ..operators.forward_backward import ForwardBackward
from .groups import Groups, join, split
from .shrinkage import Shrinkage
from .wavelets import Wavelets

LARGEST = 0.5
"""No free entry of N exceeds this, so that N stays well conditioned: L tends to 1 as the square of its condition, and
a training that may choose N freely was seen to end there, with nothing solved any more."""


class SynthesisPenalty(Shrinkage):
    """``g(s) = Σ_g ω_g h_δ(‖s_g‖) + ε/2 ‖s − m‖²`` on states ``s`` ``(B, M, H, W)``, whose image is linear in s.

    It is separable in the groups of s, so its prox is exact whatever the synthesis. For ``h_δ`` and the
    approximation see ``Shrinkage``; m is the state of mid-grey.

    Args:
        centre: m, ``(1, M, H, W)``.
        bands: of ``Wavelets``.
        weights: initial ``ω``, positive, ``groups.weights(M, levels)``.
        smoothing: δ ≥ 0.
        ridge: ε ≥ 0.
        groups: what shares a norm.
    """

    centre: Tensor

    def __init__(
        self, centre: Tensor, bands: Tensor, weights: Tensor, smoothing: float, ridge: float, groups: Groups
    ) -> None:
        super().__init__(bands, weights, smoothing, ridge, groups)
        self.register_buffer("centre", centre, persistent=False)

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """``argmin_s g(s) + ‖s − z‖²/(2τ)`` for states ``z``: firmly nonexpansive, and a ``1/(1+τε)`` contraction."""
        return self.shrink(self.argument(z, step), step)

    def analyse(self, state: Tensor) -> Tensor:
        """A state is its coefficients."""
        return state

    def argument(self, z: Tensor, step: Tensor) -> Tensor:
        """``z + τεm``."""
        return z + step * self.ridge * self.centre if self.ridge else z

    def energy(self, state: Tensor) -> Tensor:
        """``g(s)`` of each state, ``(B,)`` (used by the tests)."""
        ridge = self.ridge / 2 * (state - self.centre).square().flatten(1).sum(1)
        return self.cost(state) + ridge


class UnionPenalty(SynthesisPenalty):
    """ℓ1 (or Huber) in a union of m orthonormal bases: ``x = Σ_k Ψ_kᵀ s_k / √m`` on states ``(B, m·C, H, W)``.

    The bases together are a tight frame, ``Ψ = [Ψ_1; …; Ψ_m] / √m`` with ``ΨᵀΨ = I``; the channels of one basis are
    neighbours in a state. A prox in the image would need an inner iteration; in coefficients it is exact.

    Args:
        bases: the m transforms, of one size and one number of levels.
        weights: initial ``ω``, positive, ``(m·C, levels, 3)``.
        smoothing: δ ≥ 0.
        ridge: ε ≥ 0.
    """

    def __init__(self, bases: Sequence[Wavelets], weights: Tensor, smoothing: float, ridge: float) -> None:
        grey = weights.new_full((1, weights.shape[0] // len(bases), *bases[0].bands.shape), 0.5)
        super().__init__(_analyse(bases, grey), bases[0].bands, weights, smoothing, ridge, Groups())
        self.bases = nn.ModuleList(bases)

    def image(self, state: Tensor) -> Tensor:
        """``Ψᵀ s``."""
        m = len(self.bases)
        parts = zip(self._bases(), state.chunk(m, 1), strict=True)
        return reduce(torch.add, (basis.synthesise(s) for basis, s in parts)) / math.sqrt(m)

    def pull_back(self, image: Tensor) -> Tensor:
        """``Ψ x``."""
        return _analyse(self._bases(), image)

    def range(self) -> tuple[float, float]:
        """``ΨΨᵀ`` is a projection, and not the identity where there is more than one basis."""
        return (0.0 if len(self.bases) > 1 else 1.0), 1.0

    def transforms(self) -> list[Wavelets]:
        """The m transforms."""
        return self._bases()

    def renew(self, transforms: Sequence[Wavelets]) -> None:
        """Take the same transforms in another dtype; mid-grey is analysed anew."""
        self.bases = nn.ModuleList(transforms)
        shape = (1, self.centre.shape[1] // len(transforms), *self.centre.shape[2:])
        self.centre = _analyse(transforms, self.centre.new_full(shape, 0.5, dtype=torch.float64))

    def _bases(self) -> list[Wavelets]:
        return [cast(Wavelets, basis) for basis in self.bases]


class CoupledPenalty(SynthesisPenalty):
    """Norms ``‖ω N s'_g‖`` with a learnable matrix N inside every group, by the change of variable ``s = N s'``.

    Here ``s' = Ψx`` are orthonormal wavelet coefficients, so that ``x = Ψᵀ N⁻¹ s``, and in s the norm is a plain one
    again. At every scale, N is lower triangular over the (channel, orientation) pairs of a group, with positive
    diagonal and determinant 1 in each group: the norm depends on ``NᵀN`` alone, so a triangular N is every N
    (Cholesky), and its size is in ω. The approximation is left alone.

    Args:
        wavelets: the transform Ψ.
        weights: initial ``ω``, positive, ``groups.weights(C, levels)``.
        smoothing: δ ≥ 0.
        ridge: ε ≥ 0, of a pull of s towards ``Ψ ½``.
        groups: what shares a norm; at least one of its kinds.
        channels: C.

    Attributes:
        coupling: ``(levels, F)``, the free entries of N at each scale, through ``a tanh(·/a)`` with a = ``LARGEST``:
            its lower triangle, and the logarithm of its diagonal in a basis of the vectors with zero sum. Zeros are
            N = I. A group of n has ``n (n + 1)/2 − 1`` of them.
    """

    reads_parameters_on_host = True
    free: Tensor

    learns_synthesis = True

    def __init__(
        self,
        wavelets: Wavelets,
        weights: Tensor,
        smoothing: float,
        ridge: float,
        groups: Groups,
        channels: int,
    ) -> None:
        grey = weights.new_full((1, channels, *wavelets.bands.shape), 0.5)
        super().__init__(wavelets.analyse(grey), wavelets.bands, weights, smoothing, ridge, groups)
        self.wavelets = wavelets
        self.register_buffer("free", free_entries(groups.members(channels)).to(weights), persistent=False)
        self.coupling = nn.Parameter(weights.new_zeros(wavelets.levels, self.free.shape[0]))
        # What ``range`` found last, with the tensor and the version of it: on a GPU, each look waits for the device.
        self._ranges: tuple[Tensor, tuple[int, int], tuple[float, float]] | None = None

    def transforms(self) -> list[Wavelets]:
        """Ψ."""
        return [self.wavelets]

    def renew(self, transforms: Sequence[Wavelets]) -> None:
        """Take the same Ψ in another dtype."""
        (self.wavelets,) = transforms

    def regularity(self, operator: ForwardBackward, data: DataFidelity) -> DerivativeBounds | None:
        """``None``: the entries of N are parameters of the synthesis too."""
        return None

    def matrices(self) -> Tensor:
        """N of every scale, ``(levels, 3C, 3C)``."""
        return _triangular(LARGEST * torch.tanh(self.coupling / LARGEST), self.free)

    def image(self, state: Tensor) -> Tensor:
        """``Ψᵀ N⁻¹ s``."""
        return self.wavelets.synthesise(_mix(self._inverse(), state))

    def pull_back(self, image: Tensor) -> Tensor:
        """``N⁻ᵀ Ψ x``."""
        return _mix(self._inverse().mT, self.wavelets.analyse(image))

    def range(self) -> tuple[float, float]:
        """The extremes of ``1/σ(N)²`` over all scales and of 1, for the approximation; no gradient goes through.

        Both are nan where a training has diverged.
        """
        if not isinstance(self.coupling, nn.Parameter):  # handed in from outside, for one call
            return self._range()
        at = (self.coupling._version, self.coupling.data_ptr())
        seen = self._ranges
        if seen is None or seen[0] is not self.coupling or seen[1] != at:
            seen = self._ranges = self.coupling, at, self._range()
        return seen[2]

    def _range(self) -> tuple[float, float]:
        with torch.no_grad():
            # On the CPU, where a few singular values of a 9 × 9 matrix are cheapest.
            N = self.matrices().detach().cpu().double()
            if not N.isfinite().all():
                return math.nan, math.nan
            values = torch.linalg.svdvals(N).square().reciprocal()
            return min(1.0, float(values.min())), max(1.0, float(values.max()))

    def _inverse(self) -> Tensor:
        N = self.matrices()
        one = torch.eye(N.shape[-1], dtype=N.dtype, device=N.device)
        return torch.linalg.solve_triangular(N, one, upper=False)


def free_entries(members: Tensor) -> Tensor:
    """A basis of the lower triangular matrices with entries inside groups only, and zero trace in each.

    Args:
        members: the group of each of n indices, int64 ``(n,)``.

    Returns:
        float64 ``(F, n, n)``. The members on the diagonal are orthonormal (Helmert's contrasts), so that no index of
        a group is special to an optimiser.
    """
    n, entries = len(members), []
    for group in members.unique():
        indices = (members == group).nonzero().flatten().tolist()
        for k, i in enumerate(indices):
            for j in indices[:k]:
                entries.append(torch.zeros(n, n, dtype=torch.float64))
                entries[-1][i, j] = 1
            if k:
                contrast = torch.zeros(n, dtype=torch.float64)
                contrast[indices[:k]], contrast[i] = 1.0, -float(k)
                entries.append(torch.diag(contrast / math.sqrt(k * (k + 1))))
    return torch.stack(entries)


def _triangular(coupling: Tensor, free: Tensor) -> Tensor:
    M = torch.tensordot(coupling, free, 1)
    return M.tril(-1) + M.diagonal(dim1=-2, dim2=-1).exp().diag_embed()


def _mix(matrices: Tensor, c: Tensor) -> Tensor:
    """Coefficients ``(B, C, H, W)`` with each scale's (channel, orientation) pairs multiplied by its matrix."""
    approximation, details = split(c, len(matrices))
    mixed = [(m @ d.flatten(1, 2).flatten(2)).view_as(d) for m, d in zip(matrices, details, strict=True)]
    return join(approximation, mixed)


def _analyse(bases: Sequence[Wavelets], image: Tensor) -> Tensor:
    return torch.cat([basis.analyse(image) for basis in bases], 1) / math.sqrt(len(bases))
