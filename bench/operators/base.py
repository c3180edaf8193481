"""What every operator is: an iteration on a state, and how an image is read off the state."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from solvers import DerivativeBounds, Map

from ..utils.errors import UserError
from .data_fidelity import DataFidelity, data_fidelity


class Operator(nn.Module):
    """``T_θ(x; y, physics)``: one iteration of an algorithm, differentiable in its parameters θ.

    Most operators iterate on the image itself. Those that solve in coefficients iterate on a *state*, and read the
    image off it with ``image``.
    """

    layers: int = 0
    """0 where every iteration has the same parameters; otherwise how many iterations have parameters of their own."""

    @abstractmethod
    def forward(
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        """One iteration on states ``x`` with measurements ``y``.

        Args:
            x, y, physics: state, measurements, and what made them.
            data: ``data_fidelity(y, physics)``, where somebody has it already.
        """

    @abstractmethod
    def contraction(self, spectrum: tuple[float, float]) -> float:
        """A bound on the Lipschitz constant of T in the state, at the parameters of this moment.

        Args:
            spectrum: smallest and largest eigenvalue of ``AᵀA``.

        Returns:
            L with ``‖T(x) − T(x')‖ ≤ L ‖x − x'‖``; ``nan`` where none is known.
        """

    def start(self, image: Tensor) -> Tensor:
        """The state from which the iteration starts, for a first guess ``(B, C, H, W)``."""
        return image

    def image(self, state: Tensor) -> Tensor:
        """The image ``(B, C, H, W)`` of a state; differentiable in the state and in θ."""
        return state

    def synthesis(self) -> float | None:
        """``‖S‖²`` where the image is ``S s`` with an S that has no parameters; ``None`` elsewhere."""
        return 1.0

    def bind(self, y: Tensor, physics: LinearPhysics) -> Map:
        """``x -> T(x)`` for measurements ``y``: the map that a solver is given."""
        return BoundOperator(self, y, physics, data_fidelity(y, physics))

    def limit(self, y: Tensor, physics: LinearPhysics) -> Map:
        """The map whose fixed point is the equilibrium; it differs from ``bind`` only where layers differ."""
        return BoundOperator(self, y, physics, data_fidelity(y, physics))

    def regularity(self, data: DataFidelity) -> DerivativeBounds | None:
        """Bounds on the derivatives of T with the measurements of ``data``, at the parameters of this moment.

        Returns:
            ``None`` where none are known.
        """
        return None

    @property
    def reads_parameters_on_host(self) -> bool:
        """Whether an iteration reads its parameters on the CPU; such code cannot be compiled or captured."""
        return False

    def networks(self) -> list[nn.Parameter]:
        """The parameters that are weights of a network; they learn at a rate of their own."""
        return []


@dataclass(frozen=True, slots=True)
class BoundOperator:
    """``x -> T_θ(x; y, physics)``: an operator with its measurements, the map that a solver is given.

    Attributes:
        operator: T_θ.
        y: measurements ``(B, C, H, W)``.
        physics: what made them; the same for every sample.
        data: what both come to in an iteration, computed once.
    """

    operator: Operator
    y: Tensor
    physics: LinearPhysics
    data: DataFidelity

    def __call__(self, x: Tensor) -> Tensor:
        """One iteration on states ``x`` ``(B, …)``. Raises ``UserError`` for states of other samples or numbers."""
        back = self.data.back
        if len(x) != len(back) or x.dtype != back.dtype or x.device != back.device:
            raise UserError(
                f"states of {tuple(x.shape)}, {x.dtype} on {x.device} do not fit the measurements, of "
                f"{len(back)} samples, {back.dtype} on {back.device}: start from operator.start(physics.A_adjoint(y))"
            )
        return self.operator(x, self.y, self.physics, data=self.data)

    def regularity(self) -> DerivativeBounds | None:
        """What is known of its derivatives: see ``solvers._certificates.bound``."""
        return self.operator.regularity(self.data)

    def select(self, index: Tensor) -> BoundOperator:
        """The map of the samples at ``index`` alone."""
        return BoundOperator(self.operator, self.y[index], self.physics, self.data.select(index))


class Prior(Protocol):
    """What a task knows of its operator before it knows the size of an image: hashable, printable, picklable."""

    @property
    def label(self) -> str:
        """The call that made it, as it stands in the tables."""
        ...

    @property
    def layers(self) -> int:
        """0 where all iterations share their parameters; otherwise the depth at which each has its own."""
        ...

    def operator(
        self, shape: tuple[int, int, int], step: float, dtype: torch.dtype, device: torch.device | str
    ) -> Operator:
        """The operator for images of ``shape`` ``(C, H, W)`` with initial step ``step``.

        Raises:
            UserError: a size or a number of channels that it cannot take.
        """
        ...
