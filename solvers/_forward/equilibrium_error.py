"""Estimate how far a point is from the equilibrium, by how far Anderson acceleration would move it."""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from .._core.batch import from_rows, norms, ratio, rows
from .._core.maps import Loss

WINDOW = 8
"""Applications over which quasi-Newton steps are averaged."""
SLOWEST = 0.9
"""Largest factor by which successive steps count as falling; beyond, they say nothing about the distance."""
NEAR = 4.0
"""The loss is differentiated again once the estimate may be within this many times the tolerance."""
ROUNDED = 16.0
"""A residual within this many units of rounding of ``T(x)`` cannot be told from 0."""


class Distance(Protocol):
    """Estimates ``‖x − x*‖`` of each sample from the course of the points."""

    def __call__(self, x: Tensor, step: Tensor, aimed: Tensor) -> Tensor:
        """Return it, float64 ``(samples,)`` on the CPU; nan or infinite if unknown.

        Args:
            x: points, ``(samples, entries)``.
            step: distance to the next points, float64 ``(samples,)`` on the CPU.
            aimed: samples whose next point is aimed at the equilibrium.
        """
        ...

    def reset(self, samples: Tensor) -> None:
        """Forget the course of some samples, given as a mask ``(samples,)``."""

    def select(self, index: Tensor) -> None:
        """Continue with the samples at ``index`` alone."""


class NextStep:
    """``‖x⁺ − x‖ / (1 − q)`` with ``x⁺`` the next mixed point, and q the factor of steps.

    If an acceleration by secants removes most of the error, its step is about the error; q, the mean factor of the last
    two steps, covers the rest.
    """

    def __init__(self, x: Tensor) -> None:
        empty = torch.full((len(x),), torch.nan, dtype=torch.float64)
        self._before, self._earlier = empty, empty  # sizes of the last two steps

    def __call__(self, x: Tensor, step: Tensor, aimed: Tensor) -> Tensor:
        q = torch.where(
            self._earlier > 0, (step / self._earlier).sqrt(), step / self._before
        )  # nan before the second mixing
        self._earlier = torch.where(aimed, self._before, self._earlier)
        self._before = torch.where(aimed, step, self._before)
        return step / (1 - q.clamp(max=SLOWEST))

    def reset(self, samples: Tensor) -> None:
        self._before = torch.where(samples, torch.nan, self._before)
        self._earlier = torch.where(samples, torch.nan, self._earlier)

    def select(self, index: Tensor) -> None:
        self._before, self._earlier = self._before[index], self._earlier[index]


class Windows:
    """``d q / (1 − q)`` with d the distance over the last ``WINDOW`` applications, and q its ratio to that before.

    So later windows are expected to shrink by the same factor. Quasi-Newton steps alternate between long and short
    ones, of 0.05 to 0.5 times the error on ridge regularisers; the estimate was 0.4 to 3.4 times the error on one.

    Memory: ``WINDOW`` vectors of the size of ``x``.
    """

    def __init__(self, x: Tensor) -> None:
        self._points = x.new_full((len(x), WINDOW, x.shape[1]), torch.nan)  # rings
        self._distances = torch.full((len(x), WINDOW), torch.nan, dtype=torch.float64)
        self._last, self._slot = x, 0

    def __call__(self, x: Tensor, step: Tensor, aimed: Tensor) -> Tensor:
        self._last = _chosen(aimed, x, self._last)  # not the rejected trials of a line search
        distance = norms(self._last - self._points[:, self._slot])[0]
        q = distance / self._distances[:, self._slot]
        self._points[:, self._slot], self._distances[:, self._slot] = self._last, distance
        self._slot = (self._slot + 1) % WINDOW
        q = q.clamp(max=SLOWEST)
        return distance * q / (1 - q)

    def reset(self, samples: Tensor) -> None:
        self._points[samples.to(self._points.device)] = torch.nan
        self._distances[samples] = torch.nan

    def select(self, index: Tensor) -> None:
        there = index.to(self._points.device)
        self._points, self._last = self._points[there], self._last[there]
        self._distances = self._distances[index]


class EquilibriumError:
    """The distance ``‖x − x*‖`` of each sample, by an estimate, as a relative error.

    Unlike a residual, the estimate does not shrink if T is relaxed to ``(1 − a)x + aT(x)``. It is no bound: a slow
    component of the error that the solve has not met yet is not seen, nor is a kink of T between x and x*.

    With a loss, the error is that of the cotangent ``v = ∂ℓ/∂x``, relative to v. The implicit gradient is linear in v,
    so the error of v is what the distance costs the gradient at least, in the units of the gradient: on the convex
    tasks of the benchmark the relative error of the gradient was 0.1 to 4 times that of v. Without a loss, the distance
    is relative to ``‖T(x)‖``.

    Args:
        x0: the start, ``(samples, …)``.
        tol: the tolerance of the solve.
        loss: of a batch of points like ``x0``; ``None`` for the distance itself.
        distance: estimates the distance.
    """

    def __init__(self, x0: Tensor, tol: float, loss: Loss | None, distance: Distance) -> None:
        self._distance = distance
        self._x0, self._tol, self._loss = x0, tol, loss
        self._ahead = rows(x0)
        self._batch = rows(x0)  # points of all samples, at which the loss is differentiated
        self._gain = torch.zeros(len(self._batch), dtype=torch.float64)  # ‖Δv‖/‖Δx‖
        self._scale = torch.zeros_like(self._gain)  # ‖v‖

    def __call__(
        self,
        x: Tensor,
        y: Tensor,
        following: Tensor,
        sizes: tuple[Tensor, Tensor],
        place: Tensor,
        active: Tensor,
        aimed: Tensor,
    ) -> Tensor:
        """Return the estimated relative error, float64 ``(samples,)`` on the CPU; infinite if nothing is known yet.

        Args:
            x, y, following: points, ``T(x)`` and the next points, ``(samples, entries)``.
            sizes: ``‖y − x‖`` and ``‖y‖``, float64 ``(samples,)`` on the CPU.
            place: indices of the samples in the batch.
            active: samples that move, as a mask.
            aimed: those whose next point is one that the acceleration aims at the equilibrium.
        """
        self._look_ahead(_chosen(aimed, following, y), place, active)
        residual, size = sizes
        exact = residual <= ROUNDED * torch.finfo(x.dtype).eps * size
        if following is y:  # a plain step
            return torch.where(exact, 0.0, torch.inf)
        step = norms(following - x)[0]
        distance = torch.where(aimed, self._distance(x, step, aimed), torch.inf)
        if self._loss is None:
            error = ratio(distance, size)
        else:
            near = aimed & ~(self._gain * distance > NEAR * self._tol * self._scale)
            if bool(near.any()):
                gain, scale = self._differentiated(self._loss, x, following, step, place)
                # Only the samples that asked, so that none depends on the others.
                self._gain = torch.where(near, gain, self._gain)
                self._scale = torch.where(near, scale, self._scale)
            error = ratio(self._gain * distance, self._scale)
        return torch.where(exact, 0.0, torch.where(aimed, torch.nan_to_num(error, nan=torch.inf), torch.inf))

    @property
    def ahead(self) -> Tensor:
        """The point after the one that was measured last, of each sample, like ``x0``."""
        return from_rows(self._ahead, self._x0)

    def reset(self, samples: Tensor) -> None:
        """Forget the steps of some samples, given as a mask ``(samples,)``."""
        self._distance.reset(samples)

    def select(self, index: Tensor) -> None:
        """Continue with the samples at ``index`` alone."""
        self._distance.select(index)
        self._gain, self._scale = self._gain[index], self._scale[index]

    def _look_ahead(self, following: Tensor, place: Tensor, active: Tensor) -> None:
        if len(following) == len(self._ahead):
            self._ahead = _chosen(active, following, self._ahead)
        else:
            index = place[active].to(following.device)
            self._ahead = self._ahead.index_copy(0, index, following[active.to(following.device)])

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


def _chosen(mask: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return rows of ``a`` in the mask, and of ``b`` elsewhere."""
    return a if bool(mask.all()) else torch.where(mask.to(a.device)[:, None], a, b)
