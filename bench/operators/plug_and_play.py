"""Plug-and-play forward–backward: a denoiser in place of the proximity operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from solvers import Map

from ..denoisers import (
    Denoiser,
    DncnnFamily,
    DrunetFamily,
    Family,
    GsDrunetFamily,
    ScicoFamily,
    WeightFile,
    weight_file,
)
from ..utils.errors import UserError
from .base import Operator, Prior
from .data_fidelity import DataFidelity, data_fidelity
from .forward_backward import contraction_factor

SIGMA = 0.05
LAYERS = 1000
"""Most layers with parameters of their own."""


class PlugAndPlay(Operator):
    """``T(x; y, A) = D_σ(x − τ Aᵀ(Ax − y))`` with learnable ``log τ`` and ``log σ``.

    Args:
        denoiser: D; those of its weights that require a gradient learn.
        step: τ > 0 at the start.
        sigma: σ > 0 at the start, in units of the peak.
        layers: 0 to share τ and σ between all iterations, otherwise how many iterations have their own.
        autocast: run the denoiser in bfloat16 where torch's autocast does. Its output is cast back.
    """

    def __init__(
        self, denoiser: Denoiser, step: float, sigma: float, layers: int = 0, *, autocast: bool = False
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.layers = layers
        self.autocast = autocast
        like = next(denoiser.parameters()).detach()
        shape = (layers,) if layers else ()
        self.log_step = nn.Parameter(like.new_full(shape, math.log(step)))
        self.log_sigma = nn.Parameter(like.new_full(shape, math.log(sigma)))

    def forward(
        self,
        x: Tensor,
        y: Tensor,
        physics: LinearPhysics,
        layer: int = -1,
        *,
        data: DataFidelity | None = None,
    ) -> Tensor:
        """One iteration on images ``x`` ``(B, C, H, W)``, with the parameters of ``layer`` where layers differ."""
        step, sigma = self._of(self.log_step, layer).exp(), self._of(self.log_sigma, layer).exp()
        data = data or data_fidelity(y, physics)
        z = torch.addcmul(x, step, data.descent(x))
        if not self.autocast:
            return self.denoiser(z, sigma)
        with torch.autocast(x.device.type, torch.bfloat16):
            denoised = self.denoiser(z, sigma)
        return denoised.to(x.dtype)

    def bind(self, y: Tensor, physics: LinearPhysics) -> Map:
        """``x -> T(x)``; where layers differ, its k-th application is that of layer k, later ones that of the last."""
        return LayeredMap(self, y, physics) if self.layers else super().bind(y, physics)

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """``(1 + ε) max(|1 − τα|, |1 − τβ|)`` (THEORY C16), ε a certified bound for the residual ``x − D_σ(x)``.

        Of the last layer where layers differ. ``nan`` where no ε is known, and in bfloat16, whose rounding has none.
        """
        if self.autocast:
            return float("nan")
        step = float(self._of(self.log_step, -1).detach().exp())
        return (1 + self.denoiser.residual_lipschitz()) * contraction_factor(spectrum, step, 0.0)

    def networks(self) -> list[nn.Parameter]:
        """The weights of the denoiser that learn."""
        return [weight for weight in self.denoiser.parameters() if weight.requires_grad]

    def _of(self, parameter: Tensor, layer: int) -> Tensor:
        return parameter[layer] if self.layers else parameter


class LayeredMap:
    """The map of one forward pass: it counts its applications, and each takes the parameters of its own layer."""

    def __init__(self, operator: PlugAndPlay, y: Tensor, physics: LinearPhysics) -> None:
        self.operator = operator
        self.y = y
        self.physics = physics
        self.data = data_fidelity(y, physics)
        self.applied = 0

    def __call__(self, x: Tensor) -> Tensor:
        """``T_k(x)`` at the k-th call."""
        layer = min(self.applied, self.operator.layers - 1)
        self.applied += 1
        return self.operator(x, self.y, self.physics, layer, data=self.data)


@dataclass(frozen=True, slots=True)
class PlugAndPlayPrior:
    """Plug-and-play with a denoiser, before it knows the size of an image.

    Attributes:
        label: the call that made it, as it stands in the tables.
        network: the family of the denoiser.
        sigma: its noise level at the start.
        learn_weights: learn the weights as well; otherwise log τ and log σ alone.
        layers: 0 to share τ and σ between iterations, otherwise how many have their own.
        weights: ``None`` for those that come with the project.
        autocast: run the denoiser in bfloat16.
    """

    label: str = field(compare=False)
    network: Family
    sigma: float
    learn_weights: bool
    layers: int
    weights: WeightFile | None = None
    autocast: bool = False

    def operator(
        self, shape: tuple[int, int, int], step: float, dtype: torch.dtype, device: torch.device | str
    ) -> PlugAndPlay:
        """The operator for images of ``shape`` ``(C, H, W)`` with initial step ``step``.

        Raises:
            UserError: images that the denoiser cannot take, or no weights that fit.
        """
        self.network.check(shape)
        denoiser = self.network.build(shape[0], dtype, device, self.weights)
        denoiser.requires_grad_(self.learn_weights)
        return PlugAndPlay(denoiser, step, self.sigma, self.layers, autocast=self.autocast)


def with_weights(prior: Prior, source: str) -> PlugAndPlayPrior:
    """The prior with weights from the file ``source``, or ``"download"`` for deepinv's published network.

    Raises:
        UserError: the prior has no network, or the file cannot be read.
    """
    if not isinstance(prior, PlugAndPlayPrior):
        raise UserError(
            f"{prior.label} has no network: leave --weights out, or choose {' or '.join(PLUG_AND_PLAY_PRIORS)}"
        )
    if isinstance(prior.network, ScicoFamily):
        raise UserError("scico brings its own weights: leave --weights out")
    label = _with_word(prior.label, f"weights={Path(source).name}")
    return replace(prior, label=label, weights=weight_file(source))


def _with_word(label: str, word: str) -> str:
    return f"{label[:-1]}, {word})" if label.endswith(")") else f"{label}({word})"


def drunet(sigma: float = SIGMA, learn_weights: bool = False, layers: int = 0) -> PlugAndPlayPrior:
    """Plug-and-play with DRUNet, a U-net that takes the noise level.

    Args:
        sigma: noise level at the start, in (0, 1].
        learn_weights: learn the weights of the network as well.
        layers: how many iterations have a step and a noise level of their own; 0 for one of each.
    """
    return _denoised(DrunetFamily(), "", sigma, learn_weights, layers)


def dncnn(sigma: float = SIGMA, learn_weights: bool = False, layers: int = 0) -> PlugAndPlayPrior:
    """Plug-and-play with a scaled DnCNN; the shipped residual is contractive, so L is certified. As ``drunet``."""
    return _denoised(DncnnFamily(), "", sigma, learn_weights, layers)


def gsdrunet(sigma: float = SIGMA, learn_weights: bool = False, layers: int = 0) -> PlugAndPlayPrior:
    """Plug-and-play with the gradient-step DRUNet; it needs ``with_weights``. As ``drunet``."""
    return _denoised(GsDrunetFamily(), "", sigma, learn_weights, layers)


def scico(
    sigma: float = SIGMA, depth: int = 6, learn_weights: bool = False, layers: int = 0
) -> PlugAndPlayPrior:
    """Plug-and-play with the scaled DnCNN of the package scico, of 6 or 17 layers. As ``drunet``."""
    if isinstance(depth, bool) or depth not in (6, 17):
        raise UserError(f"depth must be 6 or 17, not {depth!r}")
    return _denoised(
        ScicoFamily(int(depth)), "" if depth == 6 else f"depth={depth:g}", sigma, learn_weights, layers
    )


PLUG_AND_PLAY_PRIORS: dict[str, Callable[..., PlugAndPlayPrior]] = {
    "drunet": drunet,
    "dncnn": dncnn,
    "gsdrunet": gsdrunet,
    "scico": scico,
}


def _denoised(network: Family, word: str, sigma: float, learn_weights: bool, layers: int) -> PlugAndPlayPrior:
    """The prior with checked values; its label leaves out defaults, and ``word`` stands after sigma."""
    if isinstance(sigma, bool) or not isinstance(sigma, int | float) or not 0 < sigma <= 1:
        raise UserError(f"sigma must lie in (0, 1] (images are in [0, 1]), not {sigma!r}")
    if not isinstance(learn_weights, bool):
        raise UserError(f"learn_weights must be True or False, not {learn_weights!r}")
    if isinstance(layers, bool) or not isinstance(layers, int) or not 0 <= layers <= LAYERS:
        raise UserError(f"layers must be a whole number from 0 to {LAYERS}, not {layers!r}")
    words = [f"sigma={float(sigma)!r}"] if sigma != SIGMA else []
    words += [word] if word else []
    words += ["learn_weights=True"] if learn_weights else []
    words += [f"layers={layers}"] if layers else []
    label = f"{network.name}({', '.join(words)})" if words else network.name
    return PlugAndPlayPrior(label, network, float(sigma), learn_weights, layers)
