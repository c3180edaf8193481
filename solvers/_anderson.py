"""Anderson acceleration of a fixed-point iteration, safeguarded, a memory for each sample."""

# torch.linalg and Tensor.backward carry no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ._batch import relative, rows
from ._core import Equilibrium, Map, Report, at_least, positive


@dataclass(frozen=True, slots=True)
class Anderson:
    """Type-II Anderson acceleration (Walker & Ni 2011), each sample of the batch on its own.

    With ``f_k = T(x_k) − x_k`` the next point is ``T(x_k) − Σᵢ γᵢ (T(x_{i+1}) − T(x_i))``, where ``γ``
    minimises ``‖f_k − Σᵢ γᵢ (f_{i+1} − f_i)‖`` over the last ``memory`` differences. The least-squares
    problem is scaled to unit columns and regularised *relative* to them, so that scaling the
    problem by c scales the answer by c (an absolute one breaks that).

    Safeguard: a sample whose ``‖f‖`` exceeds ten times its best, or has not improved on it for
    ``memory`` applications, forgets its history and goes on with a plain step from its best point.
    On a contraction every second application then makes at least a Picard step of progress.

    The point returned is each sample's best, with its own measured residual.

    Cost: one application a step, and ``2·memory + 4`` vectors of the size of ``x``.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget`` or ``memory`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 200
    memory: int = 10

    def __post_init__(self) -> None:
        positive("tol", self.tol)
        at_least("budget", self.budget, 1)
        at_least("memory", self.memory, 1)

    def __call__(self, T: Map, x0: Tensor, /) -> Equilibrium:
        x = rows(x0)
        history = _History(x, self.memory)
        best_x = best_y = x
        # Progress is measured by ‖f‖, which a plain step of a contraction shrinks; the relative residual, on
        # which a solve stops, it need not shrink (T(x) may pass near 0).
        best = torch.full_like(x[:, 0], math.inf)
        residual = torch.full_like(best, math.inf)
        stale = torch.zeros_like(best)
        worst = math.inf
        applications = 0
        while applications < self.budget:
            y = rows(T(x.view_as(x0)))
            applications += 1
            f = y - x
            size = torch.linalg.vector_norm(f, dim=1)
            better = size < best
            best_x = torch.where(better[:, None], x, best_x)
            best_y = torch.where(better[:, None], y, best_y)
            best = torch.where(better, size, best)
            residual = torch.where(better, relative(f, y), residual)
            stale = torch.where(better, 0, stale + 1)
            worst, largest = torch.stack((residual.max(), best.max())).tolist()
            if worst <= self.tol or not math.isfinite(largest):
                break
            # `not <=` and not `>`, so that a nan falls back to the best point as well.
            lost = ~(size <= 10 * best) | (stale >= self.memory)
            history.record(y, f)
            if bool(lost.any()):
                history.forget(lost)
                stale = torch.where(lost, 0, stale)
                x = torch.where(lost[:, None], best_y, history.mix())
            else:
                x = history.mix()
        return Equilibrium(best_x.view_as(x0), Report(applications, worst, worst <= self.tol))


class _History:
    """The last differences of ``T(x)`` and of ``f``, in rings of ``(samples, memory, entries)``."""

    def __init__(self, x: Tensor, memory: int) -> None:
        self._dy = x.new_zeros(x.shape[0], memory, x.shape[1])
        self._df = torch.zeros_like(self._dy)
        # Gram matrix of the differences of f; in float64, since it squares their condition.
        self._gram = x.new_zeros(x.shape[0], memory, memory, dtype=torch.float64)
        self._ridge = memory * torch.finfo(x.dtype).eps
        self._memory = memory
        self._last: tuple[Tensor, Tensor] | None = None
        self._slot = 0

    def record(self, y: Tensor, f: Tensor) -> None:
        """Add ``y = T(x)`` and ``f = y − x`` of the current point."""
        if self._last is not None:
            at = self._slot
            torch.sub(y, self._last[0], out=self._dy[:, at])
            torch.sub(f, self._last[1], out=self._df[:, at])
            row = torch.einsum("bme,be->bm", self._df, self._df[:, at]).double()
            self._gram[:, at, :] = row
            self._gram[:, :, at] = row
            self._slot = (at + 1) % self._memory
        self._last = (y, f)

    def forget(self, lost: Tensor) -> None:
        """Drop the differences of the samples in ``lost``."""
        keep = (~lost)[:, None, None]
        for ring in (self._dy, self._df, self._gram):
            # Not a product: a nan in a dropped history must not outlive it.
            ring.copy_(torch.where(keep, ring, 0))

    def mix(self) -> Tensor:
        """The accelerated point; with an empty history, the last ``y``."""
        assert self._last is not None, "record comes first"
        y, f = self._last
        weights = self._weights(torch.einsum("bme,be->bm", self._df, f).double())
        return y - torch.einsum("bm,bme->be", weights.to(y.dtype), self._dy)

    def _weights(self, right: Tensor) -> Tensor:
        """Regularised least squares on unit columns; empty columns get weight 0."""
        size = self._gram.diagonal(dim1=1, dim2=2).sqrt()
        inverse = torch.where(size > 0, 1 / size, 0)
        scaled = inverse[:, :, None] * self._gram * inverse[:, None, :]
        scaled = scaled + torch.diag_embed(torch.where(size > 0, self._ridge, 1.0))
        solved: Tensor = torch.linalg.solve_ex(scaled, inverse * right)[0]
        return inverse * solved
