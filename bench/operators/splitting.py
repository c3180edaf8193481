"""A splitting: the algorithm whose iteration is the operator of a task, before the size of an image is known."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from deepinv.physics import LinearPhysics

from ..utils.errors import UserError
from .analysis import AnalysisPenalty, FilterAnalysis
from .base import Operator, Prior
from .proximal import Regulariser

FORWARD_BACKWARD = "forward_backward"
"""Label of the splitting of a task that names none."""
FLATTEST = 1e-3
"""Share of β, the largest curvature of f, below which the least one no longer changes default steps. The factor is
close to 1 then, whatever the steps are, and larger ones hide the data term from the penalty."""
SHARPEST = 0.01
"""Half-width δ, in grey levels, that steps count for a penalty without smoothing, for which none would be the best."""
REMEDY = "choose forward_backward or primal_dual"
"""The splittings that take no prox of the data term."""


@runtime_checkable
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

    def refusal(self, prior: Prior) -> str:
        """Why it has no operator for a prior, in a line that says what to do; empty if it has one."""
        ...

    def operator(
        self,
        prior: Prior,
        physics: LinearPhysics,
        shape: tuple[int, ...],
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

    @property
    def learns_synthesis(self) -> bool:
        """Whether the synthesis of its penalty has parameters."""
        ...

    def without_ridge(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
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

    @property
    def smooth(self) -> bool:
        """Whether it is a smooth regulariser too, with a gradient step."""
        ...

    def analysis(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
    ) -> AnalysisPenalty:
        """The penalty without its ridge, for images of ``shape``."""
        ...


@runtime_checkable
class HasFilters(HasAnalysis, Protocol):
    """A prior of the coefficients of convolution filters."""

    @property
    def circular(self) -> bool:
        """Whether the boundary of the filters is circular, so that they are diagonal in the Fourier basis."""
        ...

    def analysis(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str
    ) -> FilterAnalysis:
        """See ``HasAnalysis.analysis``."""
        ...


def check_flat(prior: str, shape: tuple[int, ...]) -> None:
    """Raise ``UserError`` where a prior that only takes images ``(C, H, W)`` is given volumes ``(C, D, H, W)``."""
    if len(shape) != 3:
        raise UserError(f"{prior} takes images and no volumes: choose huber, l1, orientations, union or tv")


def not_convex(prior: Prior, splitting: str) -> str:
    """Why a splitting has no operator for a prior that is no penalty with a prox: a denoiser, or a regulariser."""
    return (
        f"{splitting} needs a convex penalty with a prox, and {prior.label} is none: choose forward_backward"
    )


def no_prox(prior: str, splitting: str) -> str:
    """Why a splitting that takes the prox of a penalty has no operator for one of ``K s``."""
    return f"{splitting} needs the prox of {prior}, which has no closed form: choose primal_dual"


def learned_synthesis(prior: HasRegulariser, splitting: str) -> str:
    """Why a splitting that takes the prox of the data term has no operator for a penalty that learns its synthesis."""
    return (
        f"{splitting} needs the prox of the data term in closed form, and none exists where the synthesis is learned, "
        f"as by {prior.label}: {REMEDY}"
    )
