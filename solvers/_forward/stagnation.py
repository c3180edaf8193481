"""Detect a forward solve whose residual rounding keeps from falling further."""

from __future__ import annotations

import torch
from torch import Tensor

from .._core.batch import norms, ratio, rows
from .._core.maps import Map
from .._core.results import FixedPoint, SolveReport

NEAR = 1000.0
"""Only residuals below this many units of rounding of the dtype count as stagnant."""
PATIENCE = 30
"""Applications without progress after which such a residual counts as stagnant."""
PROGRESS = 0.9
"""A residual, or an error, above this fraction of its earlier value has made no progress."""


class Stagnated(Exception):  # noqa: N818  (an outcome, not an error)
    """The residual has stagnated at the level of rounding.

    Attributes:
        point: the best point, with its report.
    """

    def __init__(self, point: FixedPoint) -> None:
        super().__init__()
        self.point = point


class StagnationGuard:
    """``T``, raising ``Stagnated`` once the residual no longer falls.

    Attributes:
        x: the best point so far.
        residual: its relative residual, the largest over the batch.
        applications: number of applications so far.
    """

    def __init__(self, T: Map, x: Tensor) -> None:
        self.T, self.x = T, x
        self.residual, self.applications = float("inf"), 0
        self._near = NEAR * torch.finfo(x.dtype).eps
        self._reference, self._stale = float("inf"), 0

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        y = self.T(x)
        self.applications += 1
        value = rows(y)
        residual = float(ratio(*norms(value - rows(x), value)).max()) if x.numel() else 0.0
        if residual < self.residual:
            self.residual, self.x = residual, x.clone()
        # Progress is measured from the last residual that made some, so that many tiny gains do not count as progress.
        if residual < PROGRESS * self._reference:
            self._reference, self._stale = residual, 0
        elif self.residual < self._near:
            self._stale += 1
        if self._stale >= PATIENCE:
            raise Stagnated(FixedPoint(self.x, SolveReport(self.applications, self.residual, False)))
        return y
