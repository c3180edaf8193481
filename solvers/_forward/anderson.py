"""Anderson acceleration of a fixed-point iteration, alternating with plain steps, a memory for each sample."""

# torch.linalg carries no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.argument_checks import at_least, positive
from .._core.batch import back, outside, power, rows
from .._core.maps import Map
from .._core.results import FixedPoint
from .loop import run_until_converged


@dataclass(frozen=True, slots=True)
class Anderson:
    """Type-II Anderson acceleration (Walker & Ni 2011) on every ``every``-th application, plain ones between.

    With ``f_k = T(x_k) − x_k`` a mixed point is ``Σᵢ αᵢ T(x_i)`` over the last ``memory + 1`` applications,
    where α sums to 1 and minimises ``‖Σᵢ αᵢ f_i‖``. Mixing now and then instead of always (Pratapa,
    Suryanarayana & Pask 2016) loses nothing in applications on the tasks of this benchmark, and costs a third
    of the algebra. The least-squares problem is scaled to unit columns and regularised *relative* to them, so
    that scaling the problem by c scales the answer by c (an absolute one breaks that).

    Safeguard: a sample whose ``‖f‖`` exceeds ten times its best, or has not improved on it in several mixings, forgets
    its history and goes on with plain steps from its best point. On a contraction every second round of
    ``every`` applications then makes at least the progress of a Picard step.

    The point returned is each sample's best, with its own measured residual.

    Cost: one application a step, and ``2·memory + 5`` vectors of the size of ``x``.

    Attributes:
        tol: relative residual to reach.
        budget: applications at most.
        memory: differences that a mixed point is made from.
        every: applications from one mixed point, and one look at the residual, to the next.
        shared: leave the inverse that was learned behind, in ``FixedPoint.inverse``, for ``Shared``.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget``, ``memory`` or ``every`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 200
    memory: int = 4
    every: int = 3
    shared: bool = False

    def __post_init__(self) -> None:
        positive("tol", self.tol)
        at_least("budget", self.budget, 1)
        at_least("memory", self.memory, 1)
        at_least("every", self.every, 1)

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        step = _Mixing(rows(x0), self.memory, self.every, self.shared)
        if not self.shared:
            return run_until_converged(T, x0, step, self.tol, self.budget, self.every)
        # Whole batches only: the inverse must know every sample.
        at = run_until_converged(lambda x: T(x), x0, step, self.tol, self.budget, self.every)
        return dataclasses.replace(at, inverse=step.inverse())


class _Mixing:
    """The last applications and their differences, in rings of ``(samples, memory + 1, entries)``."""

    def __init__(self, x: Tensor, memory: int, every: int, shared: bool = False) -> None:
        self.patience = 2 + memory // every
        self.records = True
        self._every = every
        self._y = x.new_zeros(x.shape[0], memory + 1, x.shape[1])
        self._f = torch.zeros_like(self._y)
        self._ridge = (memory + 1) * torch.finfo(x.dtype).eps
        self._slot = self._filled = self._fresh = 0
        self._shared = shared
        self._going = torch.ones(len(x), dtype=torch.bool)  # samples that have not ended
        self._kept: tuple[Tensor, Tensor] | None = None  # secants of those that have, from when they did

    def difference(self, y: Tensor, x: Tensor) -> Tensor:
        slot, size = self._slot, self._f.shape[1]
        self._slot = (slot + 1) % size
        self._filled = min(self._filled + 1, size)
        self._fresh = min(self._fresh + 1, size)
        self._y[:, slot] = y
        return torch.sub(y, x, out=self._f[:, slot])

    def next(self, y: Tensor) -> Tensor:
        if self._fresh < self._every or self._filled == 1:
            return y
        self._fresh = 0
        gram, unit, _ = _gram(self._f[:, : self._filled])
        weights = self._weights(gram, unit)
        return torch.bmm(weights.to(y)[:, None], self._y[:, : self._filled])[:, 0]

    def forget(self, lost: Tensor) -> None:
        gone = lost.to(self._f.device)
        # Not a product with 0: a nan in a dropped history must not outlive it.
        self._f[gone] = 0
        self._y[gone] = 0
        self._going[lost] = True

    def end(self, ended: Tensor) -> None:
        if self._shared:
            self._kept = self._both()
            self._going = self._going & ~ended

    def keep(self, index: Tensor) -> None:
        self._y, self._f, self._going = self._y[index], self._f[index], self._going[index.cpu()]

    def inverse(self) -> Map:
        """``v -> ≈ (I − Jᵀ)⁻¹v``, from the secant equations that the history fulfils.

        With differences Y of the applications and F of the residuals, ``(I − J)⁻¹ ≈ I − Y(FᵀF)⁻¹Fᵀ`` takes each
        difference of residuals to minus that of the points, as the exact one does; this is its transpose.
        """
        f, y = self._both()
        with outside(f):
            gram, unit, near = _gram(f)

        def apply(v: Tensor) -> Tensor:
            r = rows(v)
            scale = power(r)[:, None]  # the products of a small v with Y must not vanish
            with outside(r):
                right = torch.bmm(y, (r.double() / scale).to(y)[:, :, None])[..., 0].double().cpu()
                weights = _regularised(gram, unit * right, self._ridge)
                taken = torch.bmm(weights.to(near)[:, None], near)[:, 0] * scale.to(near)
            return back(r - taken, v)

        return apply

    def _both(self) -> tuple[Tensor, Tensor]:
        """Secants of the samples that go on as they are now, and of the others as they were when they ended."""
        now = self._secants()
        if self._kept is None:
            return now
        going = self._going.to(now[0].device)[:, None, None]
        missing = now[0].shape[1] - self._kept[0].shape[1]
        f, y = (
            torch.where(going, new, torch.nn.functional.pad(old, (0, 0, missing, 0)))
            for new, old in zip(now, self._kept, strict=True)
        )
        return f, y

    def _secants(self) -> tuple[Tensor, Tensor]:
        """Differences F of the residuals and Y of the applications, oldest first; 0 where a history begins."""
        size = self._f.shape[1]  # what is not filled yet is 0: of one shape, whenever a sample ends
        order = [(self._slot - size + k) % self._f.shape[1] for k in range(size)]
        there = (self._f[:, order] != 0).any(2)
        both = (there[:, 1:] & there[:, :-1])[:, :, None]
        f, y = (torch.where(both, torch.diff(ring[:, order], dim=1), 0) for ring in (self._f, self._y))
        return f, y

    def _weights(self, gram: Tensor, unit: Tensor) -> Tensor:
        """α, float64 ``(samples, filled)``; the last application alone where no mixture is known."""
        there = (gram.diagonal(dim1=1, dim2=2) > 0).double()
        # α has a sum of 1, so that units matter relatively alone.
        unit = unit / unit.amax(1, keepdim=True)
        weights = unit * _regularised(gram, unit * there, self._ridge)
        total = weights.sum(1, keepdim=True)
        last = torch.zeros_like(weights)
        last[:, (self._slot - 1) % self._filled] = 1
        known = (total > 0) & weights.isfinite().all(1, keepdim=True)
        return torch.where(known, weights / torch.where(known, total, 1), last)


def _gram(f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Inner products of the vectors ``unit · f`` of each sample, the units ``(samples, vectors)``, and these vectors.

    Units are powers of two, and 1 as long as squares are far from under- and overflow. Small systems are solved on
    the CPU, and in float64, since a Gram matrix squares its condition.
    """
    gram = torch.bmm(f, f.mT).double().cpu()
    squares = gram.diagonal(dim1=1, dim2=2)
    unit = torch.ones_like(squares)
    far = torch.finfo(f.dtype).tiny ** 0.5
    if bool(((squares > far) & (squares < 1 / far)).all()):
        return gram, unit, f
    scale = power(f.flatten(0, 1)).view(f.shape[:2])
    near = (f.double() / scale[..., None]).to(f)
    return torch.bmm(near, near.mT).double().cpu(), 1 / scale.cpu(), near


def _regularised(gram: Tensor, right: Tensor, ridge: float) -> Tensor:
    """``(G + ridge·diag G) w = right``, float64 ``(samples, n)``; empty rows of G get weight 0."""
    size = gram.diagonal(dim1=1, dim2=2).sqrt()
    inverse = torch.where(size > 0, 1 / size, 0)
    scaled = inverse[:, :, None] * gram * inverse[:, None, :]
    scaled = scaled + torch.diag_embed(torch.where(size > 0, ridge, 1.0))
    solved: Tensor = torch.linalg.solve_ex(scaled, inverse * right)[0]
    return inverse * solved
