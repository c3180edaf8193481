"""What is known of a map's derivatives, and of a loss's: the constants that a certificate is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from ._batch import norms, rows
from ._core import Loss


@dataclass(frozen=True, slots=True)
class Change:
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


class Regularity(Protocol):
    """Bounds on the derivatives ``J = ∂T/∂x`` and ``B = ∂T/∂θ`` of a map; a batch is one long vector to it."""

    @property
    def L(self) -> float:
        """A Lipschitz constant of T in x, below 1 if the map is a contraction."""
        ...

    @property
    def rigorous(self) -> bool:
        """Whether the numbers are bounds by proof; otherwise they are estimates."""
        ...

    def change(self, x: Tensor, u: Tensor, radius: float) -> Change:
        """What the derivatives may do in the ball of ``radius`` around ``x``; ``u`` has the shape of ``x``."""
        ...


@runtime_checkable
class Regular(Protocol):
    """A map that knows its own regularity: what makes a certificate rigorous."""

    def __call__(self, x: Tensor, /) -> Tensor: ...

    def regularity(self) -> Regularity | None:
        """The bounds at the parameters of this moment; ``None`` where there are none."""
        ...


@dataclass(frozen=True, slots=True)
class Lipschitz:
    """Regularity by constants that hold wherever the iterates and the equilibrium are.

    Attributes:
        L: of T in x.
        M_J, M_B: of J and of B in x.
        B: ``‖B(x)‖`` at a point.
    """

    L: float
    M_J: float
    M_B: float
    B: Callable[[Tensor], float]
    rigorous: bool = True

    def change(self, x: Tensor, u: Tensor, radius: float) -> Change:
        """Constants times radius."""
        size = float(norms(rows(u)).square().sum().sqrt()) * radius
        return Change(_times(self.M_J, size), _times(self.M_B, size), self.B(x) + _times(self.M_B, radius))


@dataclass(frozen=True, slots=True)
class Through:
    """A regularity that is looked at through something: counted, reshaped, or distorted on purpose.

    Attributes:
        of: the one behind, whose L and rigour stay.
        look: ``(of, x, u, radius) -> Change``, in place of its own ``change``.
    """

    of: Regularity
    look: Callable[[Regularity, Tensor, Tensor, float], Change]

    @property
    def L(self) -> float:
        """That of the one behind."""
        return self.of.L

    @property
    def rigorous(self) -> bool:
        """As the one behind is."""
        return self.of.rigorous

    def change(self, x: Tensor, u: Tensor, radius: float) -> Change:
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
    """

    value: Loss
    smoothness: float
    direct: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        """``ℓ(x)``."""
        return self.value(x)


def _times(constant: float, size: float) -> float:
    """Their product; 0 where the ball is a point, however wild the map may be elsewhere."""
    return constant * size if size else 0.0
