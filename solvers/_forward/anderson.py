"""Anderson acceleration of a fixed-point iteration, alternating with plain steps, a memory for each sample."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from .._core.argument_checks import stopping_rule
from .._core.batch import from_rows, no_autocast, power_of_two, rows
from .._core.maps import Loss, Map
from .._core.results import FixedPoint
from .equilibrium_error import EquilibriumError, NextStep
from .loop import Update, run_until_converged


@dataclass(frozen=True, slots=True)
class Anderson:
    """Type-II Anderson acceleration (Walker & Ni 2011), mixing on every ``every``-th application.

    With ``f_k = T(x_k) − x_k``, a mixed point is ``Σᵢ αᵢ T(x_i)`` over the last ``memory + 1`` applications, where α
    minimises ``‖Σᵢ αᵢ f_i‖`` subject to ``Σᵢ αᵢ = 1``. Applications between are plain steps (Pratapa, Suryanarayana &
    Pask 2016): on the tasks of this benchmark that takes no more applications than mixing always, and a third of the
    algebra. The least-squares problem is scaled to unit columns, and its ridge is relative to them, so scaling the
    problem by c scales the answer by c.

    Safeguard: a sample whose ``‖f‖`` exceeds ten times its best, or has not improved in several mixings, drops its
    history and continues from its best point. From its second failure on, it first takes plain steps, twice as many
    after each failure. So it converges on every map whose plain iteration does, in whatever norm that contracts.

    Each sample gets its best measured point, with the residual measured there.

    Cost: one application a step; ``2·memory + 5`` vectors of the size of ``x``.

    Attributes:
        tol: relative residual ``‖T(x) − x‖ / ‖T(x)‖``.
        budget: maximal number of applications.
        memory: number of differences in a mixed point.
        every: applications per mixing, and per measurement of the residual; near ``tol`` it is looked at once mixed.
        shared: whether to return the learned inverse in ``FixedPoint.inverse``, for ``SharedInverse``.
        error: whether ``tol`` bounds the estimated relative error of the equilibrium, or of the cotangent if the loss
            is known, in place of the residual; see ``EquilibriumError``. A residual means another error for each T: it
            shrinks by a factor a if T is relaxed to ``(1 − a)x + aT(x)``.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget``, ``memory`` or ``every`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 200
    memory: int = 4
    every: int = 3
    shared: bool = False
    error: bool = False

    def __post_init__(self) -> None:
        stopping_rule(self.tol, budget=self.budget, memory=self.memory, every=self.every)

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        return self.solve_for_loss(T, x0, None)

    def solve_for_loss(self, T: Map, x0: Tensor, loss: Loss | None, /) -> FixedPoint:
        """Solve ``x = T(x)``; with ``error``, until the cotangent of ``loss`` is accurate to ``tol``."""
        step = _Mixing(rows(x0), self.memory, self.every, self.shared)
        error = EquilibriumError(x0, self.tol, loss, NextStep(rows(x0))) if self.error else None
        if not self.shared:
            point = run_until_converged(T, x0, step, self.tol, self.budget, self.every, error)
            if error is None:
                return point

            def resume(y: Tensor, tol: float, budget: int) -> FixedPoint:
                return dataclasses.replace(self, tol=tol, budget=budget).solve_for_loss(T, y, loss)

            return dataclasses.replace(point, ahead=error.ahead, resume=resume)
        # The lambda hides `select`: the inverse needs the secants of every sample, also of those that have converged.
        point = run_until_converged(lambda x: T(x), x0, step, self.tol, self.budget, self.every, error)
        return dataclasses.replace(point, inverse=step.inverse())


class _Mixing(Update):
    """Values and differences of the last applications, in ring buffers ``(samples, memory + 1, entries)``."""

    growing = True
    needs_every_difference = True

    def __init__(self, x: Tensor, memory: int, every: int, shared: bool = False) -> None:
        self.patience = 2 + memory // every
        self._every = every
        self._plain = torch.zeros(
            len(x), dtype=torch.int64
        )  # remaining plain steps of each sample, on the CPU
        self._pause = torch.zeros_like(self._plain)
        self._y = x.new_zeros(x.shape[0], memory + 1, x.shape[1])
        self._f = torch.zeros_like(self._y)
        self._ridge = (memory + 1) * torch.finfo(x.dtype).eps
        self._slot = self._filled = self._since_mixing = 0
        self._shared = shared
        self._active = torch.ones(len(x), dtype=torch.bool)
        self._frozen_secants: tuple[Tensor, Tensor] | None = (
            None  # of inactive samples, from when they converged
        )

    def difference(self, y: Tensor, x: Tensor) -> Tensor:
        slot, size = self._slot, self._f.shape[1]
        self._slot = (slot + 1) % size
        self._filled = min(self._filled + 1, size)
        self._since_mixing = min(self._since_mixing + 1, size)
        self._y[:, slot] = y
        return torch.sub(y, x, out=self._f[:, slot])

    def next(self, y: Tensor) -> Tensor:
        paused = self._plain > 0
        self._plain = self._plain - 1
        if self._since_mixing < self._every or self._filled == 1 or bool(paused.all()):
            self.aimed = False
            return y
        self._since_mixing, self.aimed = 0, ~paused if bool(paused.any()) else True
        gram, unit, _ = _gram(self._f[:, : self._filled])
        weights = self._weights(gram, unit)
        mixed = torch.bmm(weights.to(y)[:, None], self._y[:, : self._filled])[:, 0]
        return torch.where(paused.to(y.device)[:, None], y, mixed) if bool(paused.any()) else mixed

    def reset(self, samples: Tensor) -> None:
        self._plain = torch.where(samples, self._pause, self._plain)
        first = self.patience * self._every
        self._pause = torch.where(samples, (2 * self._pause).clamp_min(first), self._pause)
        mask = samples.to(self._f.device)
        # Assignment, because a factor of 0 would keep a nan in the dropped history.
        self._f[mask] = 0
        self._y[mask] = 0
        self._active[samples] = True

    def freeze(self, samples: Tensor) -> None:
        if self._shared:
            self._frozen_secants = self._all_secants()
            self._active = self._active & ~samples

    def select(self, index: Tensor) -> None:
        here = index.cpu()
        self._y, self._f, self._active = self._y[index], self._f[index], self._active[here]
        self._plain, self._pause = self._plain[here], self._pause[here]
        self.aimed = self.aimed if isinstance(self.aimed, bool) else self.aimed[here]

    def inverse(self) -> Map:
        """Return ``v -> ≈ (I − Jᵀ)⁻¹v``, from the secant equations of the history.

        With the differences Y of applications and F of residuals, ``(I − J)⁻¹ ≈ I − Y(FᵀF)⁻¹Fᵀ`` maps each difference
        of residuals to minus the difference of the points, as the exact inverse does. The transpose is returned.
        """
        f, y = self._all_secants()
        with no_autocast(f):
            gram, unit, scaled = _gram(f)

        def apply(v: Tensor) -> Tensor:
            r = rows(v)
            scale = power_of_two(r)[:, None]  # so that products of a small v with Y do not vanish
            with no_autocast(r):
                right = torch.bmm(y, (r.double() / scale).to(y)[:, :, None])[..., 0].double().cpu()
                weights = _solve_regularised(gram, unit * right, self._ridge)
                correction = torch.bmm(weights.to(scaled)[:, None], scaled)[:, 0] * scale.to(scaled)
            return from_rows(r - correction, v)

        return apply

    def _all_secants(self) -> tuple[Tensor, Tensor]:
        """Return the present secants of active samples, and those of the others from when they were frozen."""
        secants = self._secants()
        if self._frozen_secants is None:
            return secants
        active = self._active.to(secants[0].device)[:, None, None]
        missing = secants[0].shape[1] - self._frozen_secants[0].shape[1]
        f, y = (
            torch.where(active, new, torch.nn.functional.pad(old, (0, 0, missing, 0)))
            for new, old in zip(secants, self._frozen_secants, strict=True)
        )
        return f, y

    def _secants(self) -> tuple[Tensor, Tensor]:
        """Return differences F of the residuals and Y of the applications, oldest first; 0 across a reset."""
        size = self._f.shape[1]  # always the whole ring, 0 where unfilled: frozen secants must have one shape
        order = [(self._slot - size + k) % size for k in range(size)]
        filled = (self._f[:, order] != 0).any(2)
        both = (filled[:, 1:] & filled[:, :-1])[:, :, None]
        f, y = (torch.where(both, torch.diff(ring[:, order], dim=1), 0) for ring in (self._f, self._y))
        return f, y

    def _weights(self, gram: Tensor, unit: Tensor) -> Tensor:
        """Return α, float64 ``(samples, filled)``; weight 1 on the last application where the solve fails."""
        filled = (gram.diagonal(dim1=1, dim2=2) > 0).double()
        # α sums to 1, so only ratios of units matter.
        unit = unit / unit.amax(1, keepdim=True)
        weights = unit * _solve_regularised(gram, unit * filled, self._ridge)
        total = weights.sum(1, keepdim=True)
        last = torch.zeros_like(weights)
        last[:, (self._slot - 1) % self._filled] = 1
        usable = (total > 0) & weights.isfinite().all(1, keepdim=True)
        return torch.where(usable, weights / torch.where(usable, total, 1), last)


def _gram(f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the Gram matrix of the vectors ``unit · f`` of each sample, the units ``(samples, vectors)``, the vectors.

    The units are powers of two, and 1 unless squares come near under- or overflow. They are on the CPU, and in
    float64 because a Gram matrix squares the condition number.
    """
    gram = torch.bmm(f, f.mT).double().cpu()
    squares = gram.diagonal(dim1=1, dim2=2)
    unit = torch.ones_like(squares)
    tiny = torch.finfo(f.dtype).tiny ** 0.5
    if bool(((squares > tiny) & (squares < 1 / tiny)).all()):
        return gram, unit, f
    scale = power_of_two(f.flatten(0, 1)).view(f.shape[:2])
    scaled = (f.double() / scale[..., None]).to(f)
    return torch.bmm(scaled, scaled.mT).double().cpu(), 1 / scale.cpu(), scaled


def _solve_regularised(gram: Tensor, right: Tensor, ridge: float) -> Tensor:
    """Solve ``(G + ridge·diag G) w = right``, float64 ``(samples, n)``; empty rows of G get weight 0.

    G is scaled to a unit diagonal first. An absolute ridge would change with the scale of the problem.
    """
    size = gram.diagonal(dim1=1, dim2=2).sqrt()
    inverse = torch.where(size > 0, 1 / size, 0)
    scaled = inverse[:, :, None] * gram * inverse[:, None, :]
    scaled = scaled + torch.diag_embed(torch.where(size > 0, ridge, 1.0))
    solution: Tensor = torch.linalg.solve_ex(scaled, inverse * right)[0]
    return inverse * solution
