"""Plug-and-play Douglas–Rachford: a denoiser in place of the prox of the penalty."""

from __future__ import annotations

import math

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from ..denoisers import Denoiser
from .base import Operator
from .data_fidelity import DataFidelity, data_fidelity
from .data_prox import reflection_factor
from .plug_and_play import denoise


class PlugAndPlayDouglasRachford(Operator):
    """``T_α(z) = z + 2α (D_σ(2x − z) − x)`` with ``x = prox_{γf}(z)``, and learnable ``log γ`` and ``log σ``.

    f is ``½‖Ax − y‖²``. The image is x, which depends on γ. A fixed point has ``z = x + γ∇f(x)`` and
    ``x = D_σ(2x − z) = D_σ(x − γ∇f(x))``: the image, and with it the gradient of a loss in γ, σ and the weights, are
    those of ``PlugAndPlay`` with the step γ, for all α.

    Args:
        denoiser: D; those of its weights that require a gradient are learned.
        gamma, sigma: initial γ > 0, and initial σ > 0 in units of the peak.
        alpha: α > 0.
        autocast: run the denoiser under torch's autocast to bfloat16; its output is cast back.
    """

    image_needs_data = True

    def __init__(
        self, denoiser: Denoiser, gamma: float, sigma: float, alpha: float = 0.5, *, autocast: bool = False
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.alpha, self.autocast = alpha, autocast
        like = next(denoiser.parameters()).detach()
        # Named and ordered as those of PlugAndPlay, so that gradients can be compared.
        self.log_step = nn.Parameter(like.new_full((), math.log(gamma)))
        self.log_sigma = nn.Parameter(like.new_full((), math.log(sigma)))

    def forward(
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        """One iteration on states ``x`` ``(B, C, H, W)``; raises ``UserError`` if the prox of f has no closed form."""
        primal = self.image(x, data or data_fidelity(y, physics))
        denoised = denoise(self.denoiser, 2 * primal - x, self.log_sigma.exp(), self.autocast)
        return torch.add(x, denoised - primal, alpha=2 * self.alpha)

    def image(self, state: Tensor, data: DataFidelity | None = None) -> Tensor:
        """``prox_{γf}(z)``."""
        assert data is not None, "the image of a state depends on the measurements"
        return data.prox(state, self.log_step.exp())

    def image_bound(self, spectrum: tuple[float, float]) -> float | None:
        """``None``: the image has γ as a parameter."""
        return None

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """``averaged_factor`` at the present γ, with ε a certified bound for the residual ``x − D_σ(x)``.

        ``nan`` if no ε is known, and in bfloat16, whose rounding has no Lipschitz constant.
        """
        if self.autocast:
            return float("nan")
        gamma = float(self.log_step.detach().exp())
        return averaged_factor(spectrum, gamma, self.alpha, self.denoiser.residual_lipschitz())

    def network_weights(self) -> list[nn.Parameter]:
        """The learned weights of the denoiser."""
        return [weight for weight in self.denoiser.parameters() if weight.requires_grad]


def douglas_rachford_factor(curvature: float, gamma: float, epsilon: float) -> float:
    """``(1 + ε + εγμ + 2ε²γμ)/(1 + γμ + 2εγμ)``: a Lipschitz constant of ``T_½`` for every μ-strongly convex f.

    Source: Ryu et al. 2019 (arXiv 1905.05406), Theorem 2.

    Args:
        curvature: μ ≥ 0.
        gamma: γ > 0.
        epsilon: Lipschitz constant of ``D − I``.
    """
    a = gamma * curvature
    return (1 + epsilon + epsilon * a + 2 * epsilon**2 * a) / (1 + a + 2 * epsilon * a)


def averaged_factor(spectrum: tuple[float, float], gamma: float, alpha: float, epsilon: float) -> float:
    """A Lipschitz constant of ``T_α`` for quadratic f and ``D − I`` ε-Lipschitz: the smaller of two.

    With ``E = D − I``, ``R_D = 2D − I = I + 2E`` and so ``T_α = ((1 − α) I + α R_f) + 2α E R_f``. The first part is
    affine with eigenvalues ``1 − 2αγλ/(1 + γλ)``, monotone in the eigenvalues λ of ``AᵀA``; the second has the constant
    ``2αεδ`` with δ the norm of ``R_f``. Their sum is one bound. The other: ``T_α = (1 − 2α) I + 2α T_½``, and
    ``douglas_rachford_factor`` for ``T_½``, which is the smaller one for small ε if δ is near 1.

    Args:
        spectrum: smallest and largest eigenvalue of ``AᵀA``.
        gamma, alpha: γ and α, positive.
        epsilon: ε; for ``nan`` the result is ``nan``.
    """
    share = max(abs(1 - 2 * alpha * gamma * value / (1 + gamma * value)) for value in spectrum)
    quadratic = share + 2 * alpha * epsilon * reflection_factor(spectrum, gamma)
    convex = abs(1 - 2 * alpha) + 2 * alpha * douglas_rachford_factor(spectrum[0], gamma, epsilon)
    return min(quadratic, convex)
