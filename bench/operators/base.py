"""An operator: an iteration on a state, and how to read an image off the state."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor, nn

from solvers import AdjointStages, DerivativeBounds, Map

from ..utils.errors import UserError
from .data_fidelity import DataFidelity, data_fidelity


class Operator(nn.Module):
    """``T_θ(x; y, physics)``: one iteration of an algorithm on a state, differentiable in its parameters θ.

    The state is the image, or coefficients from which ``image`` computes the image.
    """

    layers: int = 0
    """Number of iterations with their own parameters; 0 if all iterations share them."""
    reads_parameters_on_host: bool = False
    """Whether an iteration reads parameters on the CPU; it can then be neither compiled nor captured."""
    image_needs_data: bool = False
    """Whether the image of a state depends on the measurements, so that ``image`` needs their data term."""

    @abstractmethod
    def forward(
        self, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        """One iteration on states ``x`` with measurements ``y``.

        ``data`` is ``data_fidelity(y, physics)`` if it is computed already.
        """

    @abstractmethod
    def contraction(self, spectrum: tuple[float, float]) -> float:
        """L with ``‖T(x) − T(x')‖ ≤ L ‖x − x'‖`` for states, at the present parameters; ``nan`` if unknown.

        Args:
            spectrum: smallest and largest eigenvalue of ``AᵀA``.
        """

    def start(self, image: Tensor) -> Tensor:
        """The first state, for a first guess ``(B, C, H, W)`` of the image."""
        return image

    def image(self, state: Tensor, data: DataFidelity | None = None) -> Tensor:
        """The image ``(B, C, H, W)`` of a state; differentiable in the state and θ.

        ``data`` is the data term of the measurements; some operators need it, see ``image_needs_data``.
        """
        return state

    def image_bound(self, spectrum: tuple[float, float]) -> float | None:
        """``‖∂image/∂state‖²`` if the image is affine in the state and has no parameters; otherwise ``None``.

        Args:
            spectrum: smallest and largest eigenvalue of ``AᵀA``.
        """
        return 1.0

    def bind(self, y: Tensor, physics: LinearPhysics) -> Map:
        """``x -> T(x)`` for measurements ``y``: the map to solve with."""
        return BoundOperator(self, y, physics, data_fidelity(y, physics))

    def limit(self, y: Tensor, physics: LinearPhysics) -> Map:
        """The map whose fixed point is the equilibrium: ``bind``'s, or that of the last layer if layers differ."""
        return BoundOperator(self, y, physics, data_fidelity(y, physics))

    def regularity(self, data: DataFidelity) -> DerivativeBounds | None:
        """Bounds on the derivatives of T for the data term ``data``, at the present parameters; or ``None``."""
        return None

    def stages(self, x: Tensor, data: DataFidelity) -> AdjointStages | None:
        """The stages of ``∂Tᵀ`` at states ``x`` ``(B, …)`` for the data term ``data``; ``None`` if there are none."""
        return None

    def network_weights(self) -> list[nn.Parameter]:
        """The parameters that are weights of a network; they have a learning rate of their own."""
        return []


@dataclass(frozen=True, slots=True)
class BoundOperator:
    """``x -> T_θ(x; y, physics)``: an operator with its measurements ``(B, C, H, W)`` and precomputed data term."""

    operator: Operator
    y: Tensor
    physics: LinearPhysics
    data: DataFidelity

    def __call__(self, x: Tensor) -> Tensor:
        """One iteration. Raises ``UserError`` if batch size, dtype or device of states ``(B, …)`` do not fit y."""
        like = self.data.backprojection
        if len(x) != len(like) or x.dtype != like.dtype or x.device != like.device:
            raise UserError(
                f"states of {tuple(x.shape)}, {x.dtype} on {x.device} do not fit the measurements, of "
                f"{len(like)} samples, {like.dtype} on {like.device}: start from operator.start(physics.A_adjoint(y))"
            )
        return self.operator(x, self.y, self.physics, data=self.data)

    def regularity(self) -> DerivativeBounds | None:
        """Bounds on the derivatives of the map; ``None`` if unknown."""
        return self.operator.regularity(self.data)

    def stages(self, x: Tensor) -> AdjointStages | None:
        """The stages of ``∂Tᵀ`` at states ``x`` ``(B, …)``, by one application; ``None`` if there are none."""
        return self.operator.stages(x, self.data)

    def image(self, state: Tensor) -> Tensor:
        """The image ``(B, C, H, W)`` of a state of these measurements; see ``Operator.image``."""
        return self.operator.image(state, self.data)

    def select(self, index: Tensor) -> BoundOperator:
        """The map of the samples at ``index``."""
        return BoundOperator(self.operator, self.y[index], self.physics, self.data.select(index))


class Prior(Protocol):
    """Makes an operator once the size of an image is known: hashable, printable, picklable."""

    @property
    def label(self) -> str:
        """The call that made the prior, as tables show it."""
        ...

    @property
    def layers(self) -> int:
        """``Operator.layers`` of its operators."""
        ...

    def operator(
        self, shape: tuple[int, ...], step: float, dtype: torch.dtype, device: torch.device | str
    ) -> Operator:
        """The operator for images of ``shape`` ``(C, H, W)`` with initial step ``step``.

        Raises ``UserError`` for a size or a number of channels that it cannot take.
        """
        ...


@runtime_checkable
class TakesWeights(Protocol):
    """A prior with a network, whose weights a user may give."""

    def with_weights(self, source: str) -> Prior:
        """The prior with weights from the file ``source``, which its label names. Raises ``UserError`` for none."""
        ...
