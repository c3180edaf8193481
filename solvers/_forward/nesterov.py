"""Nesterov's extrapolation of a fixed-point iteration, restarted where it overshoots."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.argument_checks import at_least, positive
from .._core.batch import inners, rows
from .._core.maps import Map
from .._core.results import FixedPoint
from .loop import run_until_converged

FIRST_PAUSE = 10.0
"""Plain steps after the first time that momentum has failed."""


@dataclass(frozen=True, slots=True)
class Nesterov:
    """``y_k = T(z_k)``, ``z_{k+1} = y_k + (t_k − 1)/t_{k+1} · (y_k − y_{k−1})``, each sample of the batch on its own.

    The momentum starts anew wherever it works against the last step, ``⟨y_k − z_k, y_k − y_{k−1}⟩ < 0`` (the gradient
    scheme of O'Donoghue & Candès 2015). It suits forward–backward steps; of an operator that is no gradient step it may
    make a divergent iteration (a denoiser was seen to do so), so a sample whose residual has grown tenfold,
    or has not fallen in ten looks, goes back to its best point and takes plain steps from there, twice as many
    each time. On a contraction it converges whatever momentum does.

    Cost: one application a step and two vectors of the size of ``x``.

    Attributes:
        tol: relative residual to reach.
        budget: applications at most.
        every: applications from one look at the residual to the next.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` or ``every`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 500
    every: int = 3

    def __post_init__(self) -> None:
        positive("tol", self.tol)
        at_least("budget", self.budget, 1)
        at_least("every", self.every, 1)

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        return run_until_converged(T, x0, _Momentum(rows(x0)), self.tol, self.budget, self.every)


class _Momentum:
    patience = 10
    records = True

    def __init__(self, x: Tensor) -> None:
        self._f = torch.empty_like(x)
        self._last: Tensor | None = None
        self._t = torch.ones_like(x[:, :1])
        self._plain = torch.zeros_like(self._t)  # steps to be taken without momentum
        self._pause = torch.full_like(self._t, FIRST_PAUSE)

    def difference(self, y: Tensor, x: Tensor) -> Tensor:
        return torch.sub(y, x, out=self._f)

    def next(self, y: Tensor) -> Tensor:
        last, self._last = self._last, y
        if last is None:
            return y
        move = y - last
        ahead = (inners(self._f, move) >= 0).to(y.device)[:, None]
        t = torch.where(ahead, self._t, 1.0)
        t = torch.where(self._plain > 0, 1.0, t)
        self._plain = self._plain - 1
        self._t = (1 + torch.sqrt(1 + 4 * t * t)) / 2
        # Not a product with 0: the move away from a nan is one, and must not outlive it.
        return torch.where(t > 1, torch.addcmul(y, (t - 1) / self._t, move), y)

    def forget(self, lost: Tensor) -> None:
        gone = lost.to(self._t.device)[:, None]
        self._plain = torch.where(gone, self._pause, self._plain)
        self._pause = torch.where(gone, 2 * self._pause, self._pause)

    def end(self, ended: Tensor) -> None:
        pass

    def keep(self, index: Tensor) -> None:
        self._f, self._t = self._f[index], self._t[index]
        self._plain, self._pause = self._plain[index], self._pause[index]
        self._last = None if self._last is None else self._last[index]
