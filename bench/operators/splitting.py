"""A splitting: the algorithm whose iteration is the operator of a task, before the size of an image is known."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from deepinv.physics import LinearPhysics

from .analysis import AnalysisPenalty
from .base import Operator, Prior
from .proximal import Regulariser


class Splitting(Protocol):
    """Makes the operator of a task: hashable, printable, picklable."""

    @property
    def label(self) -> str:
        """The call that made the splitting, as tables show it."""
        ...

    @property
    def same_equilibrium(self) -> bool:
        """Whether its equilibrium has the image of forward–backward's, and with it the same reference gradient."""
        ...

    def operator(
        self,
        prior: Prior,
        physics: LinearPhysics,
        shape: tuple[int, int, int],
        step: float,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> Operator:
        """The operator of a prior for images of ``shape`` ``(C, H, W)``.

        Args:
            prior, physics: of the task; the physics in any dtype and on any device.
            shape: of an image.
            step: initial step of the task.
            dtype, device: of the operator.

        Raises:
            UserError: the splitting has no operator for the prior or the physics.
        """
        ...


@runtime_checkable
class HasRegulariser(Protocol):
    """A prior that is a convex penalty with an exact proximity operator."""

    @property
    def label(self) -> str:
        """See ``Prior.label``."""
        ...

    @property
    def ridge(self) -> float:
        """ε, the modulus of its ridge."""
        ...

    def without_ridge(
        self, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device | str
    ) -> Regulariser:
        """The penalty without its ridge, for images of ``shape``."""
        ...


@runtime_checkable
class HasAnalysis(Protocol):
    """A prior that is a convex penalty of ``K s``, such as total variation: its own prox has no closed form."""

    @property
    def label(self) -> str:
        """See ``Prior.label``."""
        ...

    @property
    def ridge(self) -> float:
        """ε, the modulus of its ridge."""
        ...

    def analysis(
        self, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device | str
    ) -> AnalysisPenalty:
        """The penalty without its ridge, for images of ``shape``."""
        ...
