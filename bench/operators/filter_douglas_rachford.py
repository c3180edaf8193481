"""Douglas–Rachford and ADMM in the coefficients of circular filters, by Fourier transforms."""

from __future__ import annotations

import math
from functools import partial
from typing import cast

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from solvers import AdjointStages, Map

from ..utils.errors import UserError
from .analysis import FilterAnalysis
from .base import Operator
from .data_fidelity import DataFidelity, data_fidelity
from .linear_autograd import Linear
from .normal import DiagonalNormal, FourierNormal, normal_operator
from .proximal import pulled
from .splitting import FLATTEST, SHARPEST


class FilterDouglasRachford(Operator):
    """``T_α(z) = z + 2α (prox_{γg}(2p − z) − p)``, ``p = K x(z)``, on coefficients z, for ``min f(x) + g(K x)``.

    ``x(z) = argmin f(x) + ‖K x − z‖²/(2γ)`` is one division in the Fourier basis, because A and the filters K are
    circular convolutions. f is the data term with a ridge, ``½‖A x − y‖² + ε/2 ‖x − ½‖²``. T is Douglas–Rachford for
    g and ``F(v) = min {f(x): K x = v}``, so α = ½ is ADMM with ``ρ = 1/γ`` and the constraint ``K x = v`` (Gabay 1983;
    Boyd et al. 2011, doi 10.1561/2200000016, §3.1.1). A fixed point has the minimiser of ``f + g∘K`` as ``x(z)``.

    α = 1 need not converge: the reflection of F is ``−I`` where no image has coefficients.

    The factor is ``|1 − 2α + αθ| + αθ`` with ``1 − θ = γσ/((1 + γσ)(1 + γβ))``, F σ-strongly convex and g β-smooth:
    the reflection of g is averaged with ``γβ/(1 + γβ)``, minus that of F with ``1/(1 + γσ)``, so minus their product
    with θ (Giselsson 2017, arXiv 1506.01556, §5–7), and ``T_α = (1 − 2α + αθ) I + αθ N`` with a nonexpansive N.

    Args:
        penalty: K and g with their learnable parameters.
        gamma: γ > 0.
        alpha: α in (0, 1).
        ridge: ε ≥ 0.
    """

    image_needs_data = True
    reads_parameters_on_host = True
    gamma_of_prox: Tensor

    def __init__(self, penalty: FilterAnalysis, gamma: float, alpha: float, ridge: float) -> None:
        super().__init__()
        self.penalty = penalty
        self.gamma, self.alpha, self.ridge = gamma, alpha, ridge
        like = next(penalty.parameters()).detach().flatten()[0]
        self.register_buffer("gamma_of_prox", torch.full_like(like, gamma), persistent=False)
        self._known: tuple[list[object], Tensor] | None = None  # without a tape

    def forward(
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        """One iteration; see ``Operator.forward``."""
        primal = self.coefficients(x, data or data_fidelity(y, physics))
        split = self.penalty.prox(torch.lerp(x, primal, 2.0), self.gamma_of_prox)  # 2 primal − x
        return torch.add(x, split - primal, alpha=2 * self.alpha)

    def bind(self, y: Tensor, physics: LinearPhysics) -> Map:
        """See ``Operator.bind``; raises ``UserError`` unless A is a circular convolution or the identity."""
        check_circular(normal_operator(physics))
        return super().bind(y, physics)

    def coefficients(self, state: Tensor, data: DataFidelity) -> Tensor:
        """``K x(z)``: the prox of F."""
        K = self.symbols(*state.shape[-2:])
        spectrum = self._minimiser(state, data, K)
        return torch.fft.irfft2(K * spectrum[:, :, None], s=state.shape[-2:]).flatten(1, 2)

    def image(self, state: Tensor, data: DataFidelity | None = None) -> Tensor:
        """``x(z)``."""
        assert data is not None, "the image of a state depends on the measurements"
        size = state.shape[-2:]
        return torch.fft.irfft2(self._minimiser(state, data, self.symbols(*size)), s=size)

    def image_bound(self, spectrum: tuple[float, float]) -> float | None:
        """``None``: the filters are parameters of the image."""
        return None

    def start(self, image: Tensor) -> Tensor:
        """``K x``."""
        return self.penalty.analyse(image)

    def symbols(self, height: int, width: int) -> Tensor:
        """K in the Fourier basis of images of that size, ``(F, H, W/2 + 1)``, complex.

        Computed again when a parameter has changed; with a tape at every call.
        """
        parameters = list(self.penalty.parameters())
        if torch.is_grad_enabled() and any(p.requires_grad for p in parameters):
            return symbols(self.penalty.kernels(), height, width)
        place: list[object] = [height, width, *((id(p), p._version) for p in parameters)]
        if self._known is None or self._known[0] != place:
            with torch.no_grad():
                self._known = place, symbols(self.penalty.kernels(), height, width)
        return self._known[1]

    def _minimiser(self, state: Tensor, data: DataFidelity, K: Tensor) -> Tensor:
        """The transform of x(z), ``(B, C, H, W/2 + 1)``."""
        N, backprojection = data.normal, data.backprojection
        if data.requires_grad() and isinstance(N, FourierNormal):
            N = N.differentiable()
            backprojection = N.adjoint(data.y)
        channels = backprojection.shape[1]
        pull = (K.conj() * torch.fft.rfft2(state.unflatten(1, (channels, -1)))).sum(2)
        right = torch.fft.rfft2(backprojection + 0.5 * self.ridge) + pull / self.gamma
        power = torch.view_as_real(K).square().sum((0, -1))
        return right / (power / self.gamma + eigenvalues(N) + self.ridge)

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """``|1 − 2α + αθ| + αθ``; 1 if f is not strongly convex or g not smooth."""
        least, smoothness = spectrum[0] + self.ridge, self.penalty.dual_modulus()
        least *= self.gamma / float(self.penalty.norm_squared())
        largest = self.gamma / smoothness if smoothness else math.inf
        rest = least / ((1 + least) * (1 + largest))  # 1 − θ
        slack = self.alpha * (1 - rest)
        return abs(1 - 2 * self.alpha + slack) + slack

    def stages(self, x: Tensor, data: DataFidelity) -> AdjointStages | None:
        """``2D − I`` and ``αH``, the derivatives of the two reflections, with the shift ``1 − α``."""
        with torch.enable_grad():
            start = x.detach().requires_grad_()
            reflected = 2 * self.coefficients(start, data) - start
            z = reflected.detach().requires_grad_()
            value = 2 * self.penalty.prox(z, self.gamma_of_prox) - z
        outer: Map = partial(pulled, reflected, start)
        inner: Map = partial(pulled, value, z)
        return AdjointStages(inner, lambda u: self.alpha * outer(u), shift=1 - self.alpha, definite=False)

    def network_weights(self) -> list[nn.Parameter]:
        """Those of the penalty."""
        return self.penalty.network_weights()


def filter_gamma(penalty: FilterAnalysis, values: Tensor, ridge: float) -> float:
    """``1/√(σβ)``, the γ of the largest ``1 − θ``, at the initial parameters.

    σ counts as no less than ``FLATTEST`` allows, and a g with kinks as one of half-width ``SHARPEST``.

    Args:
        penalty: K and g.
        values: eigenvalues of ``AᵀA``.
        ridge: ε.
    """
    curvatures = values.detach().double() + ridge
    least = max(float(curvatures.min()), FLATTEST * float(curvatures.max()))
    width = penalty.dual_modulus() or SHARPEST / penalty.largest_weight()
    return math.sqrt(width * float(penalty.norm_squared()) / least)


def symbols(kernels: Tensor, height: int, width: int) -> Tensor:
    """Circular correlations with ``kernels`` ``(F, k, k)`` in the basis of ``rfft2``, ``(F, H, W/2 + 1)``, complex.

    Kernels may be larger than the images, around which they are wrapped.
    """

    def waves(side: int, count: int) -> Tensor:
        reach, frequencies = kernels.shape[-1] // 2, torch.arange(count, device=kernels.device)
        places = torch.arange(-reach, reach + 1, device=kernels.device, dtype=torch.float64)
        turns = frequencies[:, None] * places / side
        return torch.polar(torch.ones_like(turns), 2 * math.pi * turns)

    rows, columns = waves(height, height), waves(width, width // 2 + 1)
    kind = torch.complex128 if kernels.dtype == torch.float64 else torch.complex64
    return rows.to(kind) @ kernels.to(kind) @ columns.to(kind).T


def eigenvalues(N: Linear) -> Tensor:
    """The eigenvalues of ``AᵀA`` in the basis of ``rfft2``, broadcast with ``(B, C, H, W/2 + 1)``.

    A mask counts as the number that it has everywhere, which ``check_circular`` checks.
    """
    return N.power[..., 0] if isinstance(N, FourierNormal) else cast(DiagonalNormal, N).power.flatten()[:1]


def check_circular(N: Linear) -> None:
    """Raise ``UserError`` unless A is a circular convolution, or a multiple of the identity that is not learned."""
    if isinstance(N, FourierNormal):
        return
    if (
        isinstance(N, DiagonalNormal)
        and not N.requires_grad()
        and bool((N.power == N.power.flatten()[0]).all())
    ):
        return
    raise UserError(
        "Douglas–Rachford on filters needs a circular blur or the identity as the measurement: choose primal_dual"
    )
