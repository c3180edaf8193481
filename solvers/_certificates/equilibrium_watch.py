"""Watch a forward solve, and end it where the certificate of a gradient can be expected to be small enough."""

from __future__ import annotations

import torch
from torch import Tensor

from .._core.batch import norm
from .._core.maps import Loss, Map
from .._core.results import FixedPoint, SolveReport
from .derivative_bounds import DerivativeBounds, checked_change, stated_rounding
from .loss_curvature import loss_curvature, loss_derivatives

ADJOINT_SIZE = 0.5
"""Guess of ``(1 − L) ‖u‖/‖v‖``: 0.45 to 0.99 on the tasks of the benchmark."""
GRADIENT_SIZE = 0.2
"""Guess of ``‖g‖/(‖B‖ ‖u‖)``: 0.14 to 0.67 on the tasks of the benchmark."""
CLOSER = 0.25
"""The bounds are evaluated again once the residual is this fraction of the one where they last were.

A look costs about two applications. Half took 2 % fewer products at 64², but 12 % longer for deblurring at 256²."""


EVERY = 3
"""Applications between two measurements of the residual, at the mixed points of Anderson acceleration: on a GPU each is
a wait."""


class NearEnough(Exception):  # noqa: N818  (an outcome, not an error)
    """The watched point is near enough to the equilibrium.

    Attributes:
        point: ``T(x)`` for the last x, with the count of applications; its residual has not been measured.
    """

    def __init__(self, point: FixedPoint) -> None:
        super().__init__()
        self.point = point


class EquilibriumWatch:
    """``T``, raising ``NearEnough`` once the part of the distance in the error of the gradient should be small.

    The adjoint is not known yet, so the cotangent stands for its direction, and the sizes of the adjoint and of the
    gradient are guesses. A wrong guess costs applications; the certificate is computed afterwards, from the adjoint.

    Cost: one pass over x and y at every third application; near the equilibrium the derivative bounds and the gradient
    of the loss, whenever the residual is a quarter of the last one looked at.
    """

    def __init__(self, T: Map, loss: Loss, bounds: DerivativeBounds, allowed: float) -> None:
        """Watch T.

        Args:
            T, loss: the map, and the loss.
            bounds: derivative bounds of T, with L below 1.
            allowed: the error allowed for the distance, relative to the gradient.
        """
        self.T, self._loss, self._bounds, self._allowed = T, loss, bounds, allowed
        self._inverse = 1 / (1 - bounds.L)
        self._applications, self._looked = 0, float("inf")
        # Of T near the first point that was looked at: enough for a guess, and one wait in place of many.
        self._rounding: float | None = None
        self._relative_distance = float("inf")  # above which the loss alone takes more than is allowed

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        y = self.T(x)
        self._applications += 1
        if (self._applications - 1) % EVERY:
            return y
        residual = norm(y - x)
        if residual <= min(CLOSER * self._looked, self._relative_distance):
            self._looked = residual
            if self._near_enough(y.detach(), x.detach(), residual):
                raise NearEnough(FixedPoint(y.detach(), SolveReport(self._applications)))
        return y

    def _near_enough(self, y: Tensor, x: Tensor, residual: float) -> bool:
        with torch.enable_grad():
            derivatives = loss_derivatives(self._loss, y)
        v_size = norm(derivatives.v)
        smoothness = loss_curvature(self._loss, y, derivatives, y - x).smoothness
        # u = v/2(1 − L) and ‖g‖ = b ‖u‖/5, so the part of the loss, b Λ e/(1 − L), is 10 Λ e/‖v‖ of the gradient.
        # A gain stands for b/(1 − L) in the gradient too.
        budget = self._allowed * GRADIENT_SIZE * ADJOINT_SIZE * v_size
        if smoothness * self._inverse * residual > budget:
            self._relative_distance = budget / (smoothness * self._inverse)
            return False
        if self._rounding is None:
            self._rounding = stated_rounding(self._bounds, y) or 0.0
        distance = self._bounds.L * self._inverse * residual + self._rounding
        change = checked_change(self._bounds, y, ADJOINT_SIZE * self._inverse * derivatives.v, distance)
        amplification = min(change.size * self._inverse, change.gain)
        return change.B + amplification * (smoothness * distance + change.J) <= budget * amplification
