"""The specification of a problem to attack certificates on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from solvers import Map, SmoothLoss

F64 = torch.float64


@dataclass(frozen=True, slots=True)
class AttackProblem:
    """The specification of a map, a loss, and the parameters of the gradient.

    Attributes:
        map: a key of ``PENALTIES``, of ``RIDGES`` or of ``LAYERS``.
        physics: a key of ``PHYSICS``.
        splitting: a key of ``SPLITTINGS``.
        wavelet: wavelet of the penalty.
        size, batch: side of the images in pixels, and their number.
        smoothing, ridge, weight: parameters of the penalty; ``weight`` is also the strength of a ridge regulariser.
        step: step size of the iteration, or γ of a splitting that is given one.
        kink: whether a parameter is set so that a coefficient of the first iterate lies at its kink.
        loss: ``mse`` of the state; ``direct`` if the loss depends on the parameters directly too; ``image``, the mean
            square of the image of the state; ``slow``, linear along the slowest mode of the adjoint at the equilibrium.
        leaf: a parameter besides those of the map: ``gain`` of y, ``kernel`` of a blur, ``step``, or empty for none.
        big: size of the terms that cancel in a layer; of an operator, the size of its data and weights.
        seed: seed of all random numbers.
    """

    map: str = "weighted"
    physics: str = "denoising"
    splitting: str = "forward_backward"
    wavelet: str = "haar"
    size: int = 8
    batch: int = 1
    smoothing: float = 0.01
    ridge: float = 0.1
    weight: float = 0.02
    step: float = 0.9
    kink: bool = False
    loss: str = "mse"
    leaf: str = ""
    big: float = 0.0
    seed: int = 0

    @property
    def scale(self) -> float:
        """The size of images of an operator."""
        return max(1.0, self.big)


@dataclass(frozen=True, slots=True)
class BuiltProblem:
    """A problem built in a dtype.

    Attributes:
        T: the map.
        x0: its start.
        loss: the training loss.
        leaves: the tensors in which the gradient is taken.
    """

    T: Map
    x0: Tensor
    loss: SmoothLoss
    leaves: tuple[Tensor, ...]
