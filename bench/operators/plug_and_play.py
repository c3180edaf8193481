"""Plug-and-play forward–backward: a denoiser in place of the proximity operator."""

from __future__ import annotations

import itertools
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
from ..utils.arguments import call_label, noise_level, switch, whole, with_argument
from ..utils.errors import UserError
from .base import Operator, Prior, TakesWeights
from .data_fidelity import DataFidelity, data_fidelity
from .forward_backward import contraction_factor
from .splitting import check_flat

SIGMA = 0.05
"""Default noise level at the start, in units of the peak."""
MAX_LAYERS = 1000


class PlugAndPlay(Operator):
    """``T(x; y, A) = D_σ(x − τ Aᵀ(Ax − y))`` with learnable ``log τ`` and ``log σ``.

    Args:
        denoiser: D; those of its weights that require a gradient are learned.
        step, sigma: initial τ > 0, and initial σ > 0 in units of the peak.
        layers: number of iterations with their own τ and σ; 0 to share them.
        autocast: run the denoiser under torch's autocast to bfloat16; its output is cast back.
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
        """One iteration on images ``x`` ``(B, C, H, W)``, with the parameters of ``layer`` if layers differ."""
        step, sigma = self._of(self.log_step, layer).exp(), self._of(self.log_sigma, layer).exp()
        data = data or data_fidelity(y, physics)
        return denoise(self.denoiser, torch.addcmul(x, step, data.descent(x)), sigma, self.autocast)

    def bind(self, y: Tensor, physics: LinearPhysics) -> Map:
        """``x -> T(x)``; if layers differ, the k-th application is layer k, and later ones are the last layer."""
        if not self.layers:
            return super().bind(y, physics)
        data, calls = data_fidelity(y, physics), itertools.count()
        return lambda x: self(x, y, physics, min(next(calls), self.layers - 1), data=data)

    def contraction(self, spectrum: tuple[float, float]) -> float:
        """``(1 + ε) max(|1 − τα|, |1 − τβ|)`` (THEORY C16), with ε a certified bound for the residual ``x − D_σ(x)``.

        It is the bound of the last layer if layers differ. ``nan`` if no ε is known, and in bfloat16, whose rounding
        has no Lipschitz constant.
        """
        if self.autocast:
            return float("nan")
        step = float(self._of(self.log_step, -1).detach().exp())
        return (1 + self.denoiser.residual_lipschitz()) * contraction_factor(spectrum, step, 0.0)

    def network_weights(self) -> list[nn.Parameter]:
        """The learned weights of the denoiser."""
        return [weight for weight in self.denoiser.parameters() if weight.requires_grad]

    def _of(self, parameter: Tensor, layer: int) -> Tensor:
        return parameter[layer] if self.layers else parameter


def denoise(denoiser: Denoiser, z: Tensor, sigma: Tensor, autocast: bool) -> Tensor:
    """``D_σ(z)`` of images ``z`` ``(B, C, H, W)``, in their dtype; computed in bfloat16 with ``autocast``."""
    if not autocast:
        return denoiser(z, sigma)
    with torch.autocast(z.device.type, torch.bfloat16):
        denoised = denoiser(z, sigma)
    return denoised.to(z.dtype)


@dataclass(frozen=True, slots=True)
class PlugAndPlayPrior:
    """Plug-and-play with a denoiser, before the size of an image is known.

    Attributes:
        network: the family of the denoiser.
        sigma, learn_weights, layers: as for ``drunet``.
        weights: ``None`` for the shipped ones.
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
        self, shape: tuple[int, ...], step: float, dtype: torch.dtype, device: torch.device | str
    ) -> PlugAndPlay:
        """See ``Prior.operator``; raises ``UserError`` also if the weights do not fit."""
        check_flat(self.label, shape)
        self.network.check(shape)
        denoiser = self.network.build(shape[0], dtype, device, self.weights)
        denoiser.requires_grad_(self.learn_weights)
        return PlugAndPlay(denoiser, step, self.sigma, self.layers, autocast=self.autocast)

    def with_weights(self, source: str) -> PlugAndPlayPrior:
        """See ``TakesWeights``; ``"download"`` stands for deepinv's published network."""
        if isinstance(self.network, ScicoFamily):
            raise UserError("scico brings its own weights: leave --weights out")
        label = with_argument(self.label, f"weights={Path(source).name}")
        return replace(self, label=label, weights=weight_file(source))


def with_weights(prior: Prior, source: str) -> Prior:
    """The prior with weights from the file ``source``, or ``"download"`` for deepinv's published network.

    Raises ``UserError`` if the prior has no network, or the file cannot be read.
    """
    if not isinstance(prior, TakesWeights):
        raise UserError(
            f"{prior.label} has no network: leave --weights out, or choose {' or '.join(PLUG_AND_PLAY_PRIORS)}"
        )
    return prior.with_weights(source)


def drunet(sigma: float = SIGMA, learn_weights: bool = False, layers: int = 0) -> PlugAndPlayPrior:
    """Plug-and-play with DRUNet, a U-net that takes the noise level.

    Args:
        sigma: initial noise level, in (0, 1].
        learn_weights: whether to learn the weights of the network.
        layers: number of iterations with their own step and noise level; 0 to share them.
    """
    return _prior(DrunetFamily(), sigma, learn_weights, layers)


def dncnn(sigma: float = SIGMA, learn_weights: bool = False, layers: int = 0) -> PlugAndPlayPrior:
    """Plug-and-play with a scaled DnCNN; its shipped residual is contractive, which certifies L. Same arguments."""
    return _prior(DncnnFamily(), sigma, learn_weights, layers)


def gsdrunet(sigma: float = SIGMA, learn_weights: bool = False, layers: int = 0) -> PlugAndPlayPrior:
    """Plug-and-play with the gradient-step DRUNet; it needs ``with_weights``. Same arguments as ``drunet``."""
    return _prior(GsDrunetFamily(), sigma, learn_weights, layers)


def scico(
    sigma: float = SIGMA, depth: int = 6, learn_weights: bool = False, layers: int = 0
) -> PlugAndPlayPrior:
    """Plug-and-play with the scaled DnCNN of the package scico, of 6 or 17 layers. Otherwise as ``drunet``."""
    if isinstance(depth, bool) or depth not in (6, 17):
        raise UserError(f"depth must be 6 or 17, not {depth!r}")
    return _prior(ScicoFamily(int(depth)), sigma, learn_weights, layers, depth=(int(depth), 6))


PLUG_AND_PLAY_PRIORS: dict[str, Callable[..., PlugAndPlayPrior]] = {
    "drunet": drunet,
    "dncnn": dncnn,
    "gsdrunet": gsdrunet,
    "scico": scico,
}


def _prior(
    network: Family, sigma: float, learn_weights: bool, layers: int, **options: tuple[object, object]
) -> PlugAndPlayPrior:
    """The prior with checked values; ``options`` of the call follow sigma in its label."""
    sigma = noise_level("sigma", sigma)
    switch("learn_weights", learn_weights)
    whole("layers", layers, 0, MAX_LAYERS)
    label = call_label(
        network.name,
        sigma=(sigma, SIGMA),
        **options,
        learn_weights=(learn_weights, False),
        layers=(layers, 0),
    )
    return PlugAndPlayPrior(label, network, sigma, learn_weights, layers)
