"""Bounds on the derivatives of a map and of a loss: the constants that a certificate is computed from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor

from .._core.batch import norm
from .._core.maps import Loss, Map


@dataclass(frozen=True, slots=True)
class DerivativeChange:
    """Bounds on the derivatives of a map over a ball around x, for one cotangent u.

    For every x' in the ball:

    Attributes:
        J: ``‖(J(x') − J(x))ᵀu‖`` is at most this.
        B: ``‖(B(x') − B(x))ᵀu‖`` is at most this.
        size: ``‖B(x')‖`` is at most this.
        gain: ``‖B(x')ᵀ (I − J(x')ᵀ)⁻¹‖`` is at most this; infinite if no bound besides ``size/(1−L)`` is known, which
            is far too large where the largest singular value of B and the smallest of ``I − J`` have other directions.
    """

    J: float
    B: float
    size: float
    gain: float = math.inf


class DerivativeBounds(Protocol):
    """Bounds on the derivatives ``J = ∂T/∂x`` and ``B = ∂T/∂θ`` of a map, which see a batch as one long vector.

    Four further attributes are optional. Without the first two a certificate is an estimate:

    - ``parameters``, a sequence of tensors: the leaves θ in which B is the derivative. Another leaf on T's tape
      contributes to the gradient but not to the bound.
    - ``rounding(x)``, a float: a bound on ``‖fl(T)(x) − T(x)‖``, where ``fl(T)`` is T as computed in the dtype of x. It
      also states that products with the derivatives round off no more than a few units of ``‖u‖`` and ``‖B‖ ‖u‖``.
      Without it, rounding is measured by perturbing T and its backward pass, which suffices in float64 only.
    - ``distance(x, residual)``, a float: a bound on ``‖x − x*‖`` where ``‖fl(T)(x) − x‖ ≤ residual``, if a smaller one
      is known than ``(residual + rounding(x))/(1−L)``, by which rounding moves the fixed point at worst.
    - ``in_float64()``, a callable or ``None``: T on float64 states, computed in float64. All numbers that T is made of
      are promoted without rounding, leaves on its tape: it has the leaves of T. ``certified`` and ``audit`` then end in
      float64 whatever the dtype of the states is.
    """

    @property
    def L(self) -> float:
        """A Lipschitz constant of T in x, below 1 if the map is a contraction."""
        ...

    @property
    def rigorous(self) -> bool:
        """Whether the numbers are proven bounds; otherwise they are estimates."""
        ...

    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """Bound the derivatives in the ball of ``radius`` around ``x``; ``u`` has the shape of ``x``."""
        ...


@runtime_checkable
class HasDerivativeBounds(Protocol):
    """A map that states bounds on its derivatives, which make certificates rigorous."""

    def __call__(self, x: Tensor, /) -> Tensor: ...

    def regularity(self) -> DerivativeBounds | None:
        """Return the bounds at the present parameters, or ``None`` if there are none."""
        ...


@dataclass(frozen=True, slots=True)
class LipschitzConstants:
    """Derivative bounds from constants that hold at all iterates and at the equilibrium.

    Attributes:
        L: Lipschitz constant of T in x.
        M_J, M_B: Lipschitz constants of J and of B in x.
        B: ``x -> ‖B(x)‖``, or a bound on it.
        rigorous: whether they are proven bounds.
        parameters: the leaves in which B is the derivative; certificates are estimates without.
        rounding: a bound on the rounding of T at ``x``; see ``DerivativeBounds``.
        float64: T on float64 states; see ``DerivativeBounds.in_float64``.

    Raises:
        ValueError: a constant is negative or nan.
    """

    L: float
    M_J: float
    M_B: float
    B: Callable[[Tensor], float]
    rigorous: bool = True
    parameters: Sequence[Tensor] | None = field(default=None, compare=False)
    rounding: Callable[[Tensor], float] | None = None
    float64: Map | None = None

    def __post_init__(self) -> None:
        for name in ("L", "M_J", "M_B"):
            checked_bound(name, getattr(self, name))

    def in_float64(self) -> Map | None:
        """``float64``."""
        return self.float64

    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """Multiply constants by the radius."""
        size = norm(u) * radius
        return DerivativeChange(
            _times(self.M_J, size), _times(self.M_B, size), self.B(x) + _times(self.M_B, radius)
        )


@dataclass(frozen=True, slots=True)
class WrappedBounds:
    """Derivative bounds around others, e.g. to count calls, to reshape arguments, or (in mutants) to be wrong.

    Attributes:
        bounds: the wrapped bounds, whose other members are kept.
        wrapper: ``(bounds, x, u, radius) -> DerivativeChange``, called in place of ``bounds.change``.
        parameters: replaces those of ``bounds``, if other tensors hold the same numbers.
        shape: of x as ``bounds`` expects it, if different.
    """

    bounds: DerivativeBounds
    wrapper: Callable[[DerivativeBounds, Tensor, Tensor, float], DerivativeChange]
    parameters: Sequence[Tensor] | None = field(default=None, compare=False)
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.parameters is None:
            object.__setattr__(self, "parameters", stated_parameters(self.bounds))

    @property
    def L(self) -> float:
        """``L`` of ``bounds``."""
        return self.bounds.L

    @property
    def rigorous(self) -> bool:
        """``rigorous`` of ``bounds``."""
        return self.bounds.rigorous

    @property
    def rounding(self) -> Callable[[Tensor], float] | None:
        """``rounding`` of ``bounds``, for x of this shape."""
        rounding = getattr(self.bounds, "rounding", None)
        if rounding is None or self.shape is None:
            return rounding
        shape = self.shape
        return lambda x: rounding(x.view(shape))

    @property
    def distance(self) -> Callable[[Tensor, float], float] | None:
        """``distance`` of ``bounds``, for x of this shape."""
        distance = getattr(self.bounds, "distance", None)
        if distance is None or self.shape is None:
            return distance
        shape = self.shape
        return lambda x, residual: distance(x.view(shape), residual)

    def in_float64(self) -> Map | None:
        """That of ``bounds``, for x of this shape."""
        T, shape = stated_float64(self.bounds), self.shape
        if T is None or shape is None:
            return T
        return lambda x: T(x.view(shape)).view(x.shape)

    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """Call ``wrapper``."""
        return self.wrapper(self.bounds, x, u, radius)


@runtime_checkable
class Smooth(Protocol):
    """A loss that states its constants."""

    def __call__(self, x: Tensor, /) -> Tensor: ...

    @property
    def smoothness(self) -> float:
        """Λ, the Lipschitz constant of ``∂ℓ/∂x`` in x."""
        ...

    @property
    def direct(self) -> float:
        """H, the Lipschitz constant of ``∂ℓ/∂θ`` in x; 0 if the loss depends on the parameters through x alone."""
        ...


@dataclass(frozen=True, slots=True)
class SmoothLoss:
    """A loss with its constants, e.g. ``SmoothLoss(lambda x: (x - truth).square().mean(), 2 / truth.numel())``.

    Attributes:
        value: the loss.
        smoothness, direct: see ``Smooth``.
        parameters: the leaves that ``direct`` covers, if the loss depends on any besides x; without them certificates
            are then estimates.

    Raises:
        ValueError: a constant is negative or nan.
    """

    value: Loss
    smoothness: float
    direct: float = 0.0
    parameters: Sequence[Tensor] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        checked_bound("smoothness", self.smoothness)
        checked_bound("direct", self.direct)

    def __call__(self, x: Tensor) -> Tensor:
        """``ℓ(x)``."""
        return self.value(x)


def checked_bound(name: str, value: float) -> float:
    """Return ``value``; raise ``ValueError`` if it is negative or nan."""
    if not value >= 0:
        raise ValueError(f"{name} must be a number of at least 0, not {value!r}: it bounds a norm")
    return value


def checked_change(regularity: DerivativeBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
    """Return ``regularity.change(x, u, radius)``, checked."""
    change = regularity.change(x, u, radius)
    for name in ("J", "B", "size", "gain"):
        checked_bound(f"{name} in the derivative bounds of T", getattr(change, name))
    return change


def stated_parameters(bounds: DerivativeBounds | Smooth) -> Sequence[Tensor] | None:
    """Return the leaves that the constants cover; ``None`` if not stated."""
    return getattr(bounds, "parameters", None)


def states_rounding(regularity: DerivativeBounds) -> bool:
    """Whether there is a ``rounding``; calling it may cost applications of T."""
    return getattr(regularity, "rounding", None) is not None


def stated_rounding(regularity: DerivativeBounds, x: Tensor) -> float | None:
    """Return the stated bound on the rounding of T at ``x``, checked; ``None`` if not stated."""
    rounding: Callable[[Tensor], float] | None = getattr(regularity, "rounding", None)
    if rounding is None:
        return None
    return checked_bound("rounding in the derivative bounds of T", float(rounding(x)))


def stated_distance(regularity: DerivativeBounds, x: Tensor, residual: float) -> float:
    """Return the stated bound on the distance of ``x`` to the fixed point, checked; infinite if not stated."""
    distance: Callable[[Tensor, float], float] | None = getattr(regularity, "distance", None)
    if distance is None:
        return math.inf
    return checked_bound("distance in the derivative bounds of T", float(distance(x, residual)))


def stated_float64(regularity: DerivativeBounds) -> Map | None:
    """Return T on float64 states; ``None`` if not stated."""
    in_float64: Callable[[], Map | None] | None = getattr(regularity, "in_float64", None)
    return in_float64() if in_float64 is not None else None


def why_uncovered(
    bounds: DerivativeBounds | Smooth, leaves: Sequence[Tensor] | None, owner: str, remedy: str
) -> str:
    """Return why the constants do not cover all ``leaves`` on the tape of ``owner``; empty if they do."""
    if leaves is not None and not leaves:
        return ""
    parameters = stated_parameters(bounds)
    if parameters is None:
        return f"it is not stated which leaves the constants of {owner} cover: {remedy}"
    if leaves is None:
        return f"the leaves on the tape of {owner} are not known"
    covered = set(map(id, parameters))
    others = [tuple(leaf.shape) for leaf in leaves if id(leaf) not in covered]
    if not others:
        return ""
    return f"a leaf of shape {others[0]} on the tape of {owner} is none of the parameters that its constants cover"


def _times(constant: float, size: float) -> float:
    """Multiply; 0 for a ball of radius 0 even if the constant is infinite."""
    return constant * size if size else 0.0
