"""Penalties on coefficients from which the image is synthesised: a union of bases, and coupled weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Self

import torch
from torch import Tensor, nn

from solvers import DerivativeBounds

from ..operators.data_fidelity import DataFidelity
from ..operators.proximal import ProximalOperator
from .groups import Groups, join, split
from .shrinkage import Shrinkage
from .wavelets import Wavelets

LARGEST = 0.5
"""Bound on the free entries of N, which keeps N well conditioned. L tends to 1 with the square of its condition
number, and trainings without the bound ended there, with no equilibrium solved any more."""


class SynthesisPenalty(Shrinkage):
    """``g(s) = Σ_g ω_g h_δ(‖s_g‖) + ε/2 ‖s − m‖²`` on states ``s`` ``(B, M, H, W)``, whose image is linear in s.

    g is separable in the groups of s, so its prox is exact for every synthesis. See ``Shrinkage`` for ``h_δ``; the
    centre m ``(1, M, H, W)`` is the state of mid-grey.
    """

    centre: Tensor

    def __init__(
        self,
        centre: Tensor,
        transforms: Sequence[Wavelets],
        weights: Tensor,
        smoothing: float,
        ridge: float,
        groups: Groups,
    ) -> None:
        super().__init__(transforms, weights, smoothing, ridge, groups)
        self.register_buffer("centre", centre, persistent=False)

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """``argmin_s g(s) + ‖s − z‖²/(2τ)`` for states ``z``: firmly nonexpansive, and a ``1/(1+τε)`` contraction."""
        return self.shrink(self.argument(z, step), step)

    def grey(self) -> Tensor:
        """m."""
        return self.centre

    def analyse(self, state: Tensor) -> Tensor:
        """A state is its coefficients."""
        return state

    def argument(self, z: Tensor, step: Tensor) -> Tensor:
        """``z + τεm``."""
        return z + step * self.ridge * self.centre if self.ridge else z


class UnionPenalty(SynthesisPenalty):
    """ℓ1 (or Huber) in a union of m orthonormal bases: ``x = Σ_k Ψ_kᵀ s_k / √m`` on states ``(B, m·C, H, W)``.

    The bases are a tight frame, ``Ψ = [Ψ_1; …; Ψ_m] / √m`` with ``ΨᵀΨ = I``. The channels of one basis are contiguous
    in a state. A prox in the image would need an inner iteration; in coefficients it is exact.
    """

    def __init__(self, bases: Sequence[Wavelets], weights: Tensor, smoothing: float, ridge: float) -> None:
        grey = weights.new_full((1, weights.shape[0] // len(bases), *bases[0].bands.shape), 0.5)
        super().__init__(_analyse(bases, grey), bases, weights, smoothing, ridge, Groups())

    def image(self, state: Tensor) -> Tensor:
        """``Ψᵀ s``."""
        m = len(self.bases)
        parts = zip(self.transforms, state.chunk(m, 1), strict=True)
        return reduce(torch.add, (basis.synthesise(s) for basis, s in parts)) / math.sqrt(m)

    def synthesis_adjoint(self, image: Tensor) -> Tensor:
        """``Ψ x``."""
        return _analyse(self.transforms, image)

    def range(self) -> tuple[float, float]:
        """``ΨΨᵀ`` is a projection; it is the identity for one basis alone."""
        return (0.0 if len(self.bases) > 1 else 1.0), 1.0

    def in_float64(self) -> Self:
        """A copy in float64, with the state of mid-grey recomputed."""
        twin = super().in_float64()
        if twin is not self:
            shape = (1, self.centre.shape[1] // len(self.bases), *self.centre.shape[2:])
            grey = self.centre.new_full(shape, 0.5, dtype=torch.float64)
            twin.centre = _analyse(twin.transforms, grey)
        return twin


class CoupledPenalty(SynthesisPenalty):
    """Norms ``‖ω N c_g‖`` with a learnable matrix N inside every group, by the change of variable ``s = N c``.

    ``c = Ψx`` are orthonormal wavelet coefficients, so ``x = Ψᵀ N⁻¹ s``, and the norm of s is plain. At every scale, N
    is lower triangular over the (channel, orientation) pairs of a group, with a positive diagonal and determinant 1 in
    each group. That loses nothing: the norm depends on ``NᵀN`` alone (Cholesky), and ω has the scale. N does not act
    on the approximation.

    The centre of the ridge is ``s = Ψ ½``.

    Attributes:
        coupling: ``(levels, F)``, the free entries of N at each scale before ``a tanh(·/a)`` with a = ``LARGEST``: its
            lower triangle, and the logarithm of its diagonal in a basis of the vectors with zero sum. Zeros give
            N = I. A group of n has ``n (n + 1)/2 − 1`` free entries.
    """

    free: Tensor
    reads_parameters_on_host = True
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
        super().__init__(wavelets.analyse(grey), [wavelets], weights, smoothing, ridge, groups)
        self.register_buffer(
            "free",
            free_entries(groups.members(channels, wavelets.orientations)).to(weights),
            persistent=False,
        )
        self.coupling = nn.Parameter(weights.new_zeros(wavelets.levels, self.free.shape[0]))
        # The last result of ``range``, with the version of the parameters: on a GPU, computing it waits for the device.
        self._cached_range: tuple[Tensor, tuple[int, int], tuple[float, float]] | None = None

    def regularity(self, operator: ProximalOperator, data: DataFidelity) -> DerivativeBounds | None:
        """``None``: no bounds are known, since the entries of N are parameters of the synthesis too."""
        return None

    def matrices(self) -> Tensor:
        """N at every scale, ``(levels, nC, nC)`` for n orientations."""
        M = torch.tensordot(LARGEST * torch.tanh(self.coupling / LARGEST), self.free, 1)
        return M.tril(-1) + M.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def image(self, state: Tensor) -> Tensor:
        """``Ψᵀ N⁻¹ s``."""
        return self.wavelets.synthesise(_mix(self._inverse(), state))

    def synthesis_adjoint(self, image: Tensor) -> Tensor:
        """``N⁻ᵀ Ψ x``."""
        return _mix(self._inverse().mT, self.wavelets.analyse(image))

    def range(self) -> tuple[float, float]:
        """Smallest and largest of ``1/σ(N)²`` over all scales and of 1, for the approximation; without a gradient.

        Both are nan if N is not finite.
        """
        if not isinstance(self.coupling, nn.Parameter):  # replaced for one call, e.g. by functional_call
            return self._range()
        version = (self.coupling._version, self.coupling.data_ptr())
        cached = self._cached_range
        if cached is None or cached[0] is not self.coupling or cached[1] != version:
            cached = self._cached_range = self.coupling, version, self._range()
        return cached[2]

    def _range(self) -> tuple[float, float]:
        with torch.no_grad():
            # Singular values of 9 × 9 matrices are cheapest on the CPU.
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
    """A basis of the lower triangular matrices with entries inside groups only, and zero trace in each group.

    Args:
        members: the group of each of n indices, int64 ``(n,)``.

    Returns:
        float64 ``(F, n, n)``. The diagonal matrices are orthonormal (Helmert's contrasts), so that an optimiser treats
        all indices of a group alike.
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


def _mix(matrices: Tensor, c: Tensor) -> Tensor:
    """Multiply the (channel, orientation) pairs of coefficients ``(B, C, H, W)`` by the matrix of their scale."""
    axes = c.ndim - 2
    approximation, details = split(c, len(matrices), axes)
    mixed = [(m @ d.flatten(1, 2).flatten(2)).view_as(d) for m, d in zip(matrices, details, strict=True)]
    return join(approximation, mixed, axes)


def _analyse(bases: Sequence[Wavelets], image: Tensor) -> Tensor:
    return torch.cat([basis.analyse(image) for basis in bases], 1) / math.sqrt(len(bases))
