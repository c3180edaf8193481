"""A map that notices when nothing gets further: what rounding leaves of the last digits of a fixed point."""

from __future__ import annotations

import torch
from torch import Tensor

from .._core.batch import norms, ratio, rows
from .._core.maps import Map
from .._core.results import FixedPoint, SolveReport

NEAR = 1000.0
"""Rounding may hold a residual up below this many units of the rounding of its dtype."""
PATIENCE = 30
"""Applications without progress after which a residual that small is taken to be held up."""
PROGRESS = 0.9
"""A residual, or an error, that falls to more than this share of what it was makes no progress."""


class Stalled(Exception):  # noqa: N818  (it is an end, and no error)
    """The residual is held up by rounding.

    Attributes:
        at: the best point, and how it was found.
    """

    def __init__(self, at: FixedPoint) -> None:
        super().__init__()
        self.at = at


class Stalling:
    """``T``, which raises ``Stalled`` when the residual is held up.

    Attributes:
        x: the best point so far.
        residual: the largest of the batch there, as in ``SolveReport``.
        applications: so far.
    """

    def __init__(self, T: Map, x: Tensor) -> None:
        self.T, self.x = T, x
        self.residual, self.applications = float("inf"), 0
        self._near = NEAR * torch.finfo(x.dtype).eps
        self._mark, self._since = float("inf"), 0

    def __call__(self, x: Tensor) -> Tensor:
        """``T(x)``."""
        y = self.T(x)
        self.applications += 1
        there = rows(y)
        residual = float(ratio(*norms(there - rows(x), there)).max()) if x.numel() else 0.0
        if residual < self.residual:
            self.residual, self.x = residual, x.clone()
        if residual < PROGRESS * self._mark:
            self._mark, self._since = residual, 0
        elif self.residual < self._near:
            self._since += 1
        if self._since >= PATIENCE:
            raise Stalled(FixedPoint(self.x, SolveReport(self.applications, self.residual, False)))
        return y
