"""Weighted penalties on wavelet coefficients, with their exact proximity operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..errors import UserError
from .wavelets import Wavelets


@dataclass(frozen=True, slots=True)
class Penalty:
    """What a weighted penalty is, before it knows the size of an image.

    Attributes:
        label: the call that made it, as it stands in the tables.
        smoothing: δ, the half-width of the quadratic part around 0; 0 gives the ℓ1 norm.
        ridge: ε, the modulus of strong convexity; 0 for none.
        wavelet, levels: the transform.
        weight: the initial weight of every band.
    """

    label: str = field(compare=False)
    smoothing: float
    ridge: float
    wavelet: str = "db4"
    levels: int = 3
    weight: float = 0.02

    def build(
        self,
        shape: tuple[int, int, int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> WeightedPenalty:
        """The penalty for images of ``shape`` ``(C, H, W)``. Raises ``UserError`` for a size it cannot take."""
        wavelets = Wavelets(shape[1:], self.wavelet, self.levels, dtype=dtype, device=device)
        weights = torch.full((shape[0], self.levels, 3), self.weight, dtype=dtype, device=device)
        return WeightedPenalty(wavelets, weights, self.smoothing, self.ridge)


class WeightedPenalty(nn.Module):
    """``g(x) = Σ_b w_b Σ_{i∈b} h_δ((Wx)_i) + ε/2 ‖x − ½‖²``, one learnable log-weight per channel, scale, orientation.

    ``h_δ`` is Huber's function (``|u| − δ/2`` beyond δ, ``u²/2δ`` within; ``|u|`` for δ = 0), W orthonormal
    wavelets, and the approximation carries no weight. The ridge pulls towards mid-grey and makes g ε-strongly convex.

    The weights in weighted norms of arXiv 2506.13239, section on learned weights; the prox is exact
    because W is orthonormal and g separable in its coefficients.

    Args:
        wavelets: the transform W.
        weights: initial ``w``, positive, ``(C, levels, 3)``.
        smoothing: δ ≥ 0.
        ridge: ε ≥ 0.
    """

    def __init__(self, wavelets: Wavelets, weights: Tensor, smoothing: float, ridge: float) -> None:
        super().__init__()
        self.wavelets = wavelets
        self.log_weights = nn.Parameter(weights.log())
        self.smoothing = smoothing
        self.ridge = ridge

    def prox(self, z: Tensor, step: Tensor) -> Tensor:
        """``argmin_x g(x) + ‖x − z‖²/(2τ)``: firmly nonexpansive, and a ``1/(1+τε)`` contraction.

        Args:
            z: images ``(B, C, H, W)``.
            step: τ > 0, a scalar tensor.
        """
        shrunk = 1 + step * self.ridge
        # A leading zero is the weight of the approximation.
        threshold = nn.functional.pad(step * self.log_weights.exp().flatten(1), (1, 0))
        # Huber's prox is z − clamp(slope·z, ±t), all over 1 + τε: the slope is 1 for the ℓ1 norm.
        slope = threshold / (self.smoothing * shrunk + threshold) if self.smoothing else None
        bands = self.wavelets.bands
        limit = threshold[:, bands]
        c = self.wavelets.analyse(z + step * self.ridge * 0.5 if self.ridge else z)
        scaled = c if slope is None else slope[:, bands] * c
        c = (c - torch.clamp(scaled, -limit, limit)) / shrunk
        return self.wavelets.synthesise(c)

    def energy(self, x: Tensor) -> Tensor:
        """``g(x)`` of each image, ``(B,)``: what ``prox`` is the proximity operator of (used by the tests)."""
        c = self.wavelets.analyse(x)
        weights = nn.functional.pad(self.log_weights.exp().flatten(1), (1, 0))[:, self.wavelets.bands]
        d = self.smoothing
        size = c.abs()
        huber = torch.where(size > d, size - d / 2, size.square() / (2 * d) if d else size)
        ridge = self.ridge / 2 * (x - 0.5).square()
        return (weights * huber + ridge).flatten(1).sum(1)


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise UserError(f"{name} must be a positive number, not {value!r}")
    return float(value)


def l1() -> Penalty:
    """Weighted ℓ1: convex, not strongly, so L < 1 only where the physics makes it so."""
    return Penalty("l1", 0.0, 0.0)


def huber(smoothing: float = 0.01, ridge: float = 0.02) -> Penalty:
    """Weighted Huber with a ridge: smooth and ε-strongly convex, so L < 1 is known exactly.

    Args:
        smoothing: δ, in grey levels of [0, 1].
        ridge: ε; a step of length τ then contracts by a further 1/(1+τε).
    """
    label = "huber" if (smoothing, ridge) == (0.01, 0.02) else f"huber({smoothing:g}, {ridge:g})"
    return Penalty(label, _positive("smoothing", smoothing), _positive("ridge", ridge))


PRIORS: dict[str, Callable[..., Penalty]] = {"l1": l1, "huber": huber}
