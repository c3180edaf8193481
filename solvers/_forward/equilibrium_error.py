"""Estimate how far a point is from the equilibrium, by how far Anderson acceleration would move it."""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import torch
from torch import Tensor

from .._core.batch import from_rows, norms, ratio, rows
from .._core.maps import Loss

SLOWEST = 0.9
"""Largest factor by which successive steps count as falling; beyond, they say nothing about the distance."""
NEAR = 4.0
"""The loss is differentiated again once the estimate may be within this many times the tolerance."""
ROUNDED = 16.0
"""A residual within this many units of rounding of ``T(x)`` cannot be told from 0."""


class EquilibriumError:
    """``‖x − x*‖ ≈ ‖x⁺ − x‖ / (1 − q)`` of each sample, with ``x⁺`` the next mixed point, and q the factor of steps.

    If an acceleration by secants removes most of the error, its step is about the error; q, the mean factor of the last
    two steps, covers the rest. Unlike a residual, the estimate does not shrink if T is relaxed to ``(1 − a)x + aT(x)``.
    It is no bound: a slow component of the error that no secant has met yet is not seen, nor is a kink of T between x
    and x*.

    With a loss, the error is that of the cotangent ``v = ∂ℓ/∂x``, relative to v. The implicit gradient is linear in v,
    so the error of v is what the distance costs the gradient at least, in the units of the gradient: on the convex
    tasks of the benchmark the relative error of the gradient was 0.1 to 4 times that of v. Without a loss, the distance
    is relative to ``‖T(x)‖``.

    Args:
        x0: the start, ``(samples, …)``.
        tol: the tolerance of the solve.
        loss: of a batch of points like ``x0``; ``None`` for the distance itself.
    """

    def __init__(self, x0: Tensor, tol: float, loss: Loss | None) -> None:
        self._x0, self._tol, self._loss = x0, tol, loss
        self._ahead = rows(x0)
        self._batch = rows(x0)  # points of all samples, at which the loss is differentiated
        empty = torch.full((len(self._batch),), torch.nan, dtype=torch.float64)
        self._before, self._earlier = empty, empty  # sizes of the last two steps
        self._gain, self._scale = torch.zeros_like(empty), torch.zeros_like(empty)  # ‖Δv‖/‖Δx‖, and ‖v‖

    def __call__(
        self, x: Tensor, y: Tensor, following: Tensor, sizes: tuple[Tensor, Tensor], place: Tensor
    ) -> Tensor:
        """Return the estimated relative error, float64 ``(samples,)`` on the CPU; infinite if nothing is known yet.

        Args:
            x, y, following: points, ``T(x)`` and the next points, ``(samples, entries)``.
            sizes: ``‖y − x‖`` and ``‖y‖``, float64 ``(samples,)`` on the CPU.
            place: indices of the samples in the batch.
        """
        index = place.to(x.device)
        whole = len(x) == len(self._ahead)
        self._ahead = following if whole else self._ahead.index_copy(0, index, following)
        residual, size = sizes
        exact = residual <= ROUNDED * torch.finfo(x.dtype).eps * size
        if following is y:  # a plain step
            return torch.where(exact, 0.0, torch.inf)
        step = norms(following - x)[0]
        q = torch.where(
            self._earlier > 0, (step / self._earlier).sqrt(), step / self._before
        )  # nan before the second mixing
        self._before, self._earlier = step, self._before
        distance = step / (1 - q.clamp(max=SLOWEST))
        if self._loss is None:
            error = ratio(distance, size)
        else:
            near = ~(self._gain * distance > NEAR * self._tol * self._scale)
            if bool(near.any()):
                gain, scale = self._differentiated(self._loss, x, following, step, place)
                # Only the samples that asked, so that none depends on the others.
                self._gain = torch.where(near, gain, self._gain)
                self._scale = torch.where(near, scale, self._scale)
            error = ratio(self._gain * distance, self._scale)
        return torch.where(exact, 0.0, torch.nan_to_num(error, nan=torch.inf))

    @property
    def ahead(self) -> Tensor:
        """The point after the one that was measured last, of each sample, like ``x0``."""
        return from_rows(self._ahead, self._x0)

    def reset(self, samples: Tensor) -> None:
        """Forget the steps of some samples, given as a mask ``(samples,)``."""
        self._before = torch.where(samples, torch.nan, self._before)
        self._earlier = torch.where(samples, torch.nan, self._earlier)

    def select(self, index: Tensor) -> None:
        """Continue with the samples at ``index`` alone."""
        self._before, self._earlier = self._before[index], self._earlier[index]
        self._gain, self._scale = self._gain[index], self._scale[index]

    def _differentiated(
        self, loss: Loss, x: Tensor, following: Tensor, step: Tensor, place: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return ``‖Δv‖/‖Δx‖`` and ``‖v‖`` of each sample."""
        v = self._cotangent(loss, x, place)
        change, scale = norms(self._cotangent(loss, following, place) - v, v)
        return ratio(change, step), scale

    def _cotangent(self, loss: Loss, x: Tensor, place: Tensor) -> Tensor:
        """Return ``∂ℓ/∂x`` of the samples at ``place``, whose points are ``x``."""
        index = place.to(x.device)
        self._batch = x if len(x) == len(self._batch) else self._batch.index_copy(0, index, x)
        point = from_rows(self._batch, self._x0).detach().requires_grad_()
        with torch.enable_grad():
            (v,) = torch.autograd.grad(loss(point), point)
        return rows(v)[index]
