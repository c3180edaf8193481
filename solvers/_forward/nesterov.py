"""Nesterov acceleration of a fixed-point iteration, with restarts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.argument_checks import stopping_rule
from .._core.batch import inners, rows
from .._core.maps import Map
from .._core.results import FixedPoint
from .loop import Update, run_until_converged

FIRST_PAUSE = 10.0
"""Plain steps after the first failure of the momentum; twice as many after each further one."""


@dataclass(frozen=True, slots=True)
class Nesterov:
    """``y_k = T(z_k)``, ``z_{k+1} = y_k + (t_k − 1)/t_{k+1} · (y_k − y_{k−1})``, for each sample on its own.

    Momentum restarts (t = 1) when it points against the last step, ``⟨y_k − z_k, y_k − y_{k−1}⟩ < 0``: the gradient
    scheme of O'Donoghue & Candès 2015. That suits forward–backward steps. For a T that is no gradient step, such as a
    learned denoiser, momentum may diverge. Therefore a sample whose residual is ten times its best one, or has not
    improved in ten measurements, returns to its best point and takes plain steps from there, twice as many each time.
    So it converges on every contraction.

    Cost: one application a step; two vectors of the size of ``x``.

    Attributes:
        tol: relative residual ``‖T(x) − x‖ / ‖T(x)‖``.
        budget: maximal number of applications.
        every: applications per measurement of the residual.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` or ``every`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 500
    every: int = 3

    def __post_init__(self) -> None:
        stopping_rule(self.tol, budget=self.budget, every=self.every)

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        return run_until_converged(T, x0, _Momentum(rows(x0)), self.tol, self.budget, self.every)


class _Momentum(Update):
    patience = 10
    needs_every_difference = True

    def __init__(self, x: Tensor) -> None:
        super().__init__(x)
        self._last_y: Tensor | None = None
        # On the CPU, where the inner product is: so a step of which every sample has momentum needs no mask.
        self._t = torch.ones(len(x), 1, dtype=x.dtype)
        self._plain_steps = torch.zeros_like(self._t)  # remaining steps without momentum
        self._pause = torch.full_like(self._t, FIRST_PAUSE)

    def next(self, y: Tensor) -> Tensor:
        last, self._last_y = self._last_y, y
        if last is None:
            return y
        move = y - last
        ahead = (inners(self._f, move) >= 0)[:, None]
        t = torch.where(ahead, self._t, 1.0)
        t = torch.where(self._plain_steps > 0, 1.0, t)
        self._plain_steps = self._plain_steps - 1
        self._t = (1 + torch.sqrt(1 + 4 * t * t)) / 2
        moving = t > 1
        if not bool(moving.any()):
            return y
        ahead_of_y = torch.addcmul(y, ((t - 1) / self._t).to(y.device), move)
        # `where`, because a factor of 0 would keep a nan in `move`.
        return ahead_of_y if bool(moving.all()) else torch.where(moving.to(y.device), ahead_of_y, y)

    def reset(self, samples: Tensor) -> None:
        mask = samples[:, None]
        self._plain_steps = torch.where(mask, self._pause, self._plain_steps)
        self._pause = torch.where(mask, 2 * self._pause, self._pause)

    def select(self, index: Tensor) -> None:
        super().select(index)
        here = index.cpu()
        self._t, self._plain_steps, self._pause = self._t[here], self._plain_steps[here], self._pause[here]
        self._last_y = None if self._last_y is None else self._last_y[index]
