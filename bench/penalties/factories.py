"""Penalties before the size of an image is known, and the calls that make them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from ..operators.base import Prior
from ..operators.forward_backward import ForwardBackward
from ..utils.arguments import call_label, real, switch
from ..utils.errors import UserError
from .groups import Groups
from .learned_filters import filters
from .synthesis import CoupledPenalty, SynthesisPenalty, UnionPenalty
from .total_generalised_variation import tgv
from .total_variation import tv
from .wavelets import Wavelets
from .weighted import WeightedPenalty

BASES = ("haar", "db2", "db4")
"""The wavelets of ``union``."""


@dataclass(frozen=True, slots=True)
class Penalty:
    """A weighted penalty, before the size of an image is known.

    Attributes:
        label: the call that made the penalty, as tables show it.
        smoothing: δ, the half-width of the quadratic part around 0; 0 gives norms.
        ridge: ε, the modulus of strong convexity; 0 for none.
        wavelet, levels: the transform.
        weight: the initial weight of every band.
        groups, coupled: coefficients that share a norm, and whether each group has a learned matrix.
        union: wavelets of a union of bases, in place of ``wavelet``; it has no groups.
    """

    label: str = field(compare=False)
    smoothing: float
    ridge: float
    wavelet: str = "db4"
    levels: int = 3
    weight: float = 0.02
    groups: Groups = Groups()  # noqa: RUF009 (frozen)
    coupled: bool = False
    union: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.coupled and self.groups == Groups():
            raise UserError("coupled weights need groups: give orientations, colours, or both")
        if self.union and self.groups != Groups():
            raise UserError("a union of bases has no groups: give one or the other")

    def build(
        self,
        shape: tuple[int, ...],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> WeightedPenalty | SynthesisPenalty:
        """The penalty for images of ``shape`` ``(C, H, W)``, or volumes of ``(C, D, H, W)``.

        Raises ``UserError`` for a size that it cannot take, and for groups of colours in grey images.
        """
        channels = shape[0]
        if self.groups.colours and channels == 1:
            raise UserError(
                f"{self.label} groups colours and the images are grey: choose a colour task, e.g. denoising_colour"
            )
        names = self.union or (self.wavelet,)
        bases = [Wavelets(shape[1:], name, self.levels, dtype=dtype, device=device) for name in names]
        size = self.groups.weights(len(bases) * channels, self.levels, bases[0].orientations)
        weights = torch.full(size, self.weight, dtype=dtype, device=device)
        if self.union:
            return UnionPenalty(bases, weights, self.smoothing, self.ridge)
        if self.coupled:
            return CoupledPenalty(bases[0], weights, self.smoothing, self.ridge, self.groups, channels)
        return WeightedPenalty(bases[0], weights, self.smoothing, self.ridge, self.groups)

    def without_ridge(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
    ) -> WeightedPenalty | SynthesisPenalty:
        """The penalty without its ridge; see ``build``."""
        return replace(self, ridge=0.0).build(shape, dtype, device)

    @property
    def learns_synthesis(self) -> bool:
        """Whether the synthesis has parameters: those of coupled weights."""
        return self.coupled

    @property
    def layers(self) -> int:
        """0: all iterations share their parameters."""
        return 0

    def operator(
        self, shape: tuple[int, ...], step: float, dtype: torch.dtype, device: torch.device | str
    ) -> ForwardBackward:
        """Forward–backward with this penalty."""
        return ForwardBackward(self.build(shape, dtype, device), step)


def l1() -> Penalty:
    """Weighted ℓ1: convex, not strongly, so L < 1 only if the physics makes it so."""
    return Penalty("l1", 0.0, 0.0)


def huber(smoothing: float = 0.01, ridge: float = 0.02) -> Penalty:
    """Weighted Huber with a ridge: smooth and ε-strongly convex, so L < 1 is known exactly.

    ``smoothing`` is δ > 0, in grey levels of [0, 1]; ``ridge`` is ε > 0, which contracts a step τ by 1/(1+τε).
    """
    smoothing, ridge = real("smoothing", smoothing, positive=True), real("ridge", ridge, positive=True)
    label = "huber" if (smoothing, ridge) == (0.01, 0.02) else f"huber({smoothing:g}, {ridge:g})"
    return Penalty(label, smoothing, ridge)


def orientations(smoothing: float = 0.0, ridge: float = 0.0, coupled: bool = False) -> Penalty:
    """Norms across the orientations of a place and scale, as in isotropic total variation.

    ``smoothing`` is δ ≥ 0, in grey levels of [0, 1], 0 for the norm itself; ``ridge`` is ε ≥ 0. ``coupled`` learns a
    matrix inside every group as well.
    """
    return _grouped("orientations", smoothing, ridge, coupled, Groups(orientations=True))


def colours(smoothing: float = 0.0, ridge: float = 0.0, coupled: bool = False) -> Penalty:
    """Norms across the colour channels, which then vanish together; colour images only. As ``orientations``."""
    return _grouped("colours", smoothing, ridge, coupled, Groups(colours=True))


def orientations_colours(smoothing: float = 0.0, ridge: float = 0.0, coupled: bool = False) -> Penalty:
    """Norms across orientations and colour channels at once; colour images only. As ``orientations``."""
    return _grouped("orientations_colours", smoothing, ridge, coupled, Groups(True, True))


def union(smoothing: float = 0.0, ridge: float = 0.0) -> Penalty:
    """Weighted ℓ1 in a union of the bases haar, db2 and db4; iterates on the coefficients of all three."""
    smoothing, ridge = real("smoothing", smoothing), real("ridge", ridge)
    label = call_label("union", smoothing=(smoothing, 0), ridge=(ridge, 0))
    return Penalty(label, smoothing, ridge, union=BASES)


def _grouped(name: str, smoothing: float, ridge: float, coupled: bool, groups: Groups) -> Penalty:
    smoothing, ridge = real("smoothing", smoothing), real("ridge", ridge)
    switch("coupled", coupled)
    label = call_label(name, smoothing=(smoothing, 0), ridge=(ridge, 0), coupled=(coupled, False))
    return Penalty(label, smoothing, ridge, groups=groups, coupled=coupled)


PRIORS: dict[str, Callable[..., Prior]] = {
    "l1": l1,
    "huber": huber,
    "orientations": orientations,
    "colours": colours,
    "orientations_colours": orientations_colours,
    "union": union,
    "tv": tv,
    "tgv": tgv,
    "filters": filters,
}
