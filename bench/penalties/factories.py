"""Penalties as values: what a weighted penalty is before it knows the size of an image, and the calls that make one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from ..operators.forward_backward import ForwardBackward
from ..utils.errors import UserError
from .groups import Groups
from .synthesis import CoupledPenalty, SynthesisPenalty, UnionPenalty
from .wavelets import Wavelets
from .weighted import WeightedPenalty

BASES = ("haar", "db2", "db4")
"""The wavelets of ``union``."""


@dataclass(frozen=True, slots=True)
class Penalty:
    """What a weighted penalty is, before it knows the size of an image.

    Attributes:
        label: the call that made it, as it stands in the tables.
        smoothing: δ, the half-width of the quadratic part around 0; 0 gives norms.
        ridge: ε, the modulus of strong convexity; 0 for none.
        wavelet, levels: the transform.
        weight: the initial weight of every band.
        groups: which coefficients share a norm.
        coupled: learn a matrix inside every group as well.
        union: wavelets of a union of bases, in place of ``wavelet``; it takes no groups.

    Raises:
        UserError: coupling without groups, or a union with groups.
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
        shape: tuple[int, int, int],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> WeightedPenalty | SynthesisPenalty:
        """The penalty for images of ``shape`` ``(C, H, W)``.

        Raises:
            UserError: a size that it cannot take, or colours to be grouped in a grey image.
        """
        channels = shape[0]
        if self.groups.colours and channels == 1:
            raise UserError(
                f"{self.label} groups colours and the images are grey: choose a colour task, e.g. denoising_colour"
            )
        names = self.union or (self.wavelet,)
        bases = [Wavelets(shape[1:], name, self.levels, dtype=dtype, device=device) for name in names]
        kinds = self.groups.weights(len(bases) * channels, self.levels)
        weights = torch.full(kinds, self.weight, dtype=dtype, device=device)
        if self.union:
            return UnionPenalty(bases, weights, self.smoothing, self.ridge)
        if self.coupled:
            return CoupledPenalty(bases[0], weights, self.smoothing, self.ridge, self.groups, channels)
        return WeightedPenalty(bases[0], weights, self.smoothing, self.ridge, self.groups)

    @property
    def layers(self) -> int:
        """0: all iterations share their parameters."""
        return 0

    def operator(
        self, shape: tuple[int, int, int], step: float, dtype: torch.dtype, device: torch.device | str
    ) -> ForwardBackward:
        """Forward–backward with this penalty."""
        return ForwardBackward(self.build(shape, dtype, device), step)


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


def orientations(smoothing: float = 0.0, ridge: float = 0.0, coupled: bool = False) -> Penalty:
    """Norms across the three orientations of a place and scale, as in isotropic total variation.

    Args:
        smoothing: δ ≥ 0, in grey levels of [0, 1]; 0 for the norm itself.
        ridge: ε ≥ 0.
        coupled: learn a matrix inside every group as well.
    """
    return _grouped("orientations", smoothing, ridge, coupled, Groups(orientations=True))


def colours(smoothing: float = 0.0, ridge: float = 0.0, coupled: bool = False) -> Penalty:
    """Norms across the colour channels, which then vanish together; colour images only.

    Args:
        smoothing: δ ≥ 0, in grey levels of [0, 1]; 0 for the norm itself.
        ridge: ε ≥ 0.
        coupled: learn a matrix inside every group as well.
    """
    return _grouped("colours", smoothing, ridge, coupled, Groups(colours=True))


def orientations_colours(smoothing: float = 0.0, ridge: float = 0.0, coupled: bool = False) -> Penalty:
    """Norms across orientations and colour channels at once; colour images only.

    Args:
        smoothing: δ ≥ 0, in grey levels of [0, 1]; 0 for the norm itself.
        ridge: ε ≥ 0.
        coupled: learn a matrix inside every group as well.
    """
    return _grouped("orientations_colours", smoothing, ridge, coupled, Groups(True, True))


def union(smoothing: float = 0.0, ridge: float = 0.0) -> Penalty:
    """Weighted ℓ1 in a union of the bases haar, db2 and db4: iterates on coefficients of all three.

    Args:
        smoothing: δ ≥ 0, in grey levels of [0, 1]; 0 for ℓ1 itself.
        ridge: ε ≥ 0.
    """
    smoothing, ridge = _non_negative("smoothing", smoothing), _non_negative("ridge", ridge)
    return Penalty(_call("union", smoothing, ridge), smoothing, ridge, union=BASES)


def _grouped(name: str, smoothing: float, ridge: float, coupled: bool, groups: Groups) -> Penalty:
    smoothing, ridge = _non_negative("smoothing", smoothing), _non_negative("ridge", ridge)
    if not isinstance(coupled, bool):
        raise UserError(f"coupled must be True or False, not {coupled!r}")
    return Penalty(_call(name, smoothing, ridge, coupled), smoothing, ridge, groups=groups, coupled=coupled)


def _call(name: str, smoothing: float, ridge: float, coupled: bool = False) -> str:
    """The shortest call that makes a penalty, with every digit."""
    given = {"smoothing": smoothing, "ridge": ridge, "coupled": coupled}
    words = ", ".join(f"{key}={value}" for key, value in given.items() if value)
    return f"{name}({words})" if words else name


def _positive(name: str, value: float) -> float:
    if _non_negative(name, value, "positive") == 0:
        raise UserError(f"{name} must be a positive number, not {value!r}")
    return float(value)


def _non_negative(name: str, value: float, kind: str = "non-negative") -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise UserError(f"{name} must be a {kind} number, not {value!r}")
    return float(value)


PRIORS: dict[str, Callable[..., Penalty]] = {
    "l1": l1,
    "huber": huber,
    "orientations": orientations,
    "colours": colours,
    "orientations_colours": orientations_colours,
    "union": union,
}
