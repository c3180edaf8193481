"""What is known of a map's derivatives, and of a loss's: the constants that a certificate is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor

from .._core.batch import norm
from .._core.maps import Loss


@dataclass(frozen=True, slots=True)
class DerivativeChange:
    """How far the derivatives of a map may be, anywhere in a ball, from what they are at its centre x.

    For every x' of the ball, with u the cotangent that was asked about:

    Attributes:
        J: ``‖(J(x') − J(x))ᵀu‖`` at most.
        B: ``‖(B(x') − B(x))ᵀu‖`` at most.
        size: ``‖B(x')‖`` at most.
    """

    J: float
    B: float
    size: float


class DerivativeBounds(Protocol):
    """Bounds on the derivatives ``J = ∂T/∂x`` and ``B = ∂T/∂θ`` of a map; a batch is one long vector to it.

    Two more things may be said, and a certificate is an estimate where it misses them:

    - ``parameters``, a sequence of tensors: the leaves θ that its B is the derivative in. A leaf on T's tape that is
      none of them has a part in the gradient, and none in the bound.
    - ``rounding(x)``, a number: at least ``‖fl(T)(x) − T(x)‖``, where ``fl(T)`` is T as it is computed, in the dtype of
      x; and products with its derivatives round off no more than a few units of ``‖u‖`` and of ``‖B‖ ‖u‖``. Without
      it, both ways are shaken to see what they round off: an allowance that will do in float64, and makes an estimate
      in any lower precision.
    """

    @property
    def L(self) -> float:
        """A Lipschitz constant of T in x, below 1 if the map is a contraction."""
        ...

    @property
    def rigorous(self) -> bool:
        """Whether the numbers are bounds by proof; otherwise they are estimates."""
        ...

    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """What the derivatives may do in the ball of ``radius`` around ``x``; ``u`` has the shape of ``x``."""
        ...


@runtime_checkable
class HasDerivativeBounds(Protocol):
    """A map that knows its own regularity: what makes a certificate rigorous."""

    def __call__(self, x: Tensor, /) -> Tensor: ...

    def regularity(self) -> DerivativeBounds | None:
        """The bounds at the parameters of this moment; ``None`` where there are none."""
        ...


@dataclass(frozen=True, slots=True)
class LipschitzConstants:
    """Regularity by constants that hold wherever the iterates and the equilibrium are.

    Attributes:
        L: of T in x.
        M_J, M_B: of J and of B in x.
        B: ``‖B(x)‖`` at a point.
        rigorous: whether they are bounds by proof.
        parameters: the leaves that B is the derivative in; certificates are estimates where they are not told.
        rounding: a bound on what an application at ``x`` rounds off; see ``DerivativeBounds``.

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

    def __post_init__(self) -> None:
        for name in ("L", "M_J", "M_B"):
            checked_bound(name, getattr(self, name))

    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """Constants times radius."""
        size = norm(u) * radius
        return DerivativeChange(
            _times(self.M_J, size), _times(self.M_B, size), self.B(x) + _times(self.M_B, radius)
        )


@dataclass(frozen=True, slots=True)
class WrappedBounds:
    """A regularity that is looked at through something: counted, reshaped, or distorted on purpose.

    Attributes:
        of: the one behind, whose L, rigour and rounding stay.
        look: ``(of, x, u, radius) -> Change``, in place of its own ``change``.
        parameters: in place of those of the one behind, where the same numbers go by other tensors.
        shape: of x as the one behind knows it, where it is another.
    """

    of: DerivativeBounds
    look: Callable[[DerivativeBounds, Tensor, Tensor, float], DerivativeChange]
    parameters: Sequence[Tensor] | None = field(default=None, compare=False)
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.parameters is None:
            object.__setattr__(self, "parameters", stated(self.of))

    @property
    def L(self) -> float:
        """That of the one behind."""
        return self.of.L

    @property
    def rigorous(self) -> bool:
        """As the one behind is."""
        return self.of.rigorous

    @property
    def rounding(self) -> Callable[[Tensor], float] | None:
        """That of the one behind."""
        told = getattr(self.of, "rounding", None)
        if told is None or self.shape is None:
            return told
        shape = self.shape
        return lambda x: told(x.view(shape))

    def change(self, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
        """What ``look`` makes of it."""
        return self.look(self.of, x, u, radius)


@runtime_checkable
class Smooth(Protocol):
    """A loss that knows its own constants."""

    def __call__(self, x: Tensor, /) -> Tensor: ...

    @property
    def smoothness(self) -> float:
        """Λ: Lipschitz constant of ``∂ℓ/∂x`` in x."""
        ...

    @property
    def direct(self) -> float:
        """H: Lipschitz constant of ``∂ℓ/∂θ`` in x; 0 where the loss sees the parameters through x alone."""
        ...


@dataclass(frozen=True, slots=True)
class SmoothLoss:
    """A loss with its constants, e.g. ``SmoothLoss(F.mse_loss…, 2 / x.numel())``.

    Attributes:
        value: the loss.
        smoothness, direct: see ``Smooth``.
        parameters: the leaves that ``direct`` is meant for, where the loss sees any besides x; certificates are
            estimates where it does and they are not told.

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
    """``value``, or a ``ValueError``: negative numbers and nan bound nothing."""
    if not value >= 0:
        raise ValueError(f"{name} must be a number of at least 0, not {value!r}: it bounds a norm")
    return value


def lipschitz_of(regularity: DerivativeBounds) -> float:
    """Its L, checked."""
    return checked_bound("L, which the regularity of T gives,", regularity.L)


def changed(regularity: DerivativeBounds, x: Tensor, u: Tensor, radius: float) -> DerivativeChange:
    """``regularity.change(x, u, radius)``, checked."""
    change = regularity.change(x, u, radius)
    for name in ("J", "B", "size"):
        checked_bound(f"{name}, which the regularity of T gives,", getattr(change, name))
    return change


def stated(of: DerivativeBounds | Smooth) -> Sequence[Tensor] | None:
    """The leaves that its constants are meant for; ``None`` where it does not say."""
    return getattr(of, "parameters", None)


def states_rounding(regularity: DerivativeBounds) -> bool:
    """Whether it says what applications round off; asking how much may cost applications of T."""
    return getattr(regularity, "rounding", None) is not None


def told_rounding(regularity: DerivativeBounds, x: Tensor) -> float | None:
    """What its application at ``x`` rounds off, at most; ``None`` where it does not say."""
    told: Callable[[Tensor], float] | None = getattr(regularity, "rounding", None)
    return (
        None if told is None else checked_bound("rounding, which the regularity of T gives,", float(told(x)))
    )


def uncovered(of: DerivativeBounds | Smooth, leaves: Sequence[Tensor] | None, what: str, remedy: str) -> str:
    """Why its constants do not cover all ``leaves``; empty if they do. ``what`` has these, ``remedy`` tells them."""
    if leaves is not None and not leaves:
        return ""
    told = stated(of)
    if told is None:
        return f"the leaves that the constants of {what} are meant for were not told: {remedy}"
    if leaves is None:
        return f"the leaves on the tape of {what} are not known"
    known = set(map(id, told))
    strange = [tuple(leaf.shape) for leaf in leaves if id(leaf) not in known]
    if not strange:
        return ""
    return f"a leaf of shape {strange[0]} on the tape of {what} is none of the parameters that its constants cover"


def _times(constant: float, size: float) -> float:
    """Their product; 0 where the ball is a point, however wild the map may be elsewhere."""
    return constant * size if size else 0.0
