"""Limited-memory BFGS for the fixed point of a gradient step, by applications of T alone."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .._core.argument_checks import stopping_rule
from .._core.batch import from_rows, no_autocast, norms_and_inners, power_of_two, rows
from .._core.maps import Loss, Map
from .._core.results import FixedPoint
from .equilibrium_error import EquilibriumError, Windows
from .loop import Update, run_until_converged

FLAT = 0.9
"""A step is accepted if the slope along it has become no more than this times the first one, in size."""
SHORTEST, LONGEST = 0.1, 10.0
"""Range of the factor between successive lengths along a direction."""
TRIALS = 10
"""Lengths that are tried along a direction before the memory is dropped."""
CURVED = 1e-10
"""A pair whose curvature, or a direction whose slope, is this small in its units says nothing."""
FIRST_PAUSE = 10.0
"""Plain steps after the first failure; twice as many after each further one."""
VECTORS = ("_steps", "_changes", "_x", "_base", "_base_f", "_direction", "_unit")
NUMBERS = ("_curvatures", "_length", "_slope", "_known", "_trials", "_plain", "_pause", "_towards")
"""State of a sample on the device, and on the CPU."""


@dataclass(frozen=True, slots=True)
class QuasiNewton:
    """L-BFGS (Nocedal & Wright 2006, section 7.2) on ``x − T(x)``, for each sample on its own.

    For a gradient step ``T = I − τ∇E``, ``x − T(x)`` is a gradient, and the step need not be small: its length follows
    from the slope along the direction, which is to fall to ``FLAT`` times its first value in size. On a convex E such
    a step lowers E, so no values of E are needed. That suits learned regularisers, whose gradient is steep in few
    directions: a step that is safe for all of them is slow in the others. Where T is no gradient step, such as
    forward–backward, the memory is dropped and plain steps are taken whenever the residual does not improve; use
    ``Anderson`` there.

    Cost: one application a step or trial; ``2·memory + 8`` vectors of the size of ``x``.

    Attributes:
        tol: relative residual ``‖T(x) − x‖ / ‖T(x)‖``.
        budget: maximal number of applications.
        memory: number of pairs of a step and the change of the gradient.
        every: applications per measurement of the residual.
        error: whether ``tol`` bounds the estimated relative error of the equilibrium, or of the cotangent if the loss
            is known, in place of the residual; see ``EquilibriumError``. Every application is measured then.

    Raises:
        ValueError: ``tol`` is not positive, or ``budget``, ``memory`` or ``every`` is below 1.
    """

    tol: float = 1e-6
    budget: int = 500
    memory: int = 10
    every: int = 1
    error: bool = False

    def __post_init__(self) -> None:
        stopping_rule(self.tol, budget=self.budget, memory=self.memory, every=self.every)

    def __call__(self, T: Map, x0: Tensor, /) -> FixedPoint:
        return self.solve_for_loss(T, x0, None)

    def solve_for_loss(self, T: Map, x0: Tensor, loss: Loss | None, /) -> FixedPoint:
        """Solve ``x = T(x)``; with ``error``, until the cotangent of ``loss`` is accurate to ``tol``."""
        step = _LimitedMemory(rows(x0), self.memory, resumed=self.error)
        if not self.error:
            return run_until_converged(T, x0, step, self.tol, self.budget, self.every)
        return self._solve(T, x0, step, loss)

    def _solve(self, T: Map, x0: Tensor, step: _LimitedMemory, loss: Loss | None) -> FixedPoint:
        error = EquilibriumError(x0, self.tol, loss, Windows(rows(x0)))
        point = run_until_converged(T, x0, step, self.tol, self.budget, 1, error)
        ahead = error.ahead

        def resume(y: Tensor, tol: float, budget: int) -> FixedPoint:
            step.restore()
            with no_autocast(y):
                step.difference(rows(y), rows(ahead))
                start = from_rows(step.next(rows(y)), y)
            return replace(self, tol=tol, budget=budget)._solve(T, start, step, loss)

        return replace(point, ahead=ahead, resume=resume)


class _LimitedMemory(Update):
    """Pairs of each sample in ring buffers ``(samples, memory, entries)``, and a line search of each sample.

    All samples write at the same place of the rings: one whose application ends no step writes zeros.
    """

    patience = 30
    worse = math.inf  # a trial that crosses steep kinks is taken back by the line search
    needs_every_difference = True

    def __init__(self, x: Tensor, memory: int, resumed: bool) -> None:
        super().__init__(x)
        self._resumed = resumed  # whether samples that ended may go on later
        self._steps = x.new_zeros(len(x), memory, x.shape[1])
        self._changes = torch.zeros_like(self._steps)
        self._curvatures = x.new_zeros(
            len(x), memory, dtype=torch.float64, device="cpu"
        )  # of s and y; 0: no pair
        self._slot = 0
        self._x = self._base = self._base_f = self._direction = x
        self._unit = torch.ones_like(
            x[:, :1], dtype=torch.float64
        )  # of the slope, so that none over- or underflows
        numbers = torch.zeros(len(x), dtype=torch.float64)
        self._length, self._slope = numbers + 1, numbers
        self._known = torch.zeros(len(x), dtype=torch.bool)  # whether there is a base
        self._trials, self._plain = numbers, numbers + 1
        self._pause = numbers + FIRST_PAUSE
        self._towards = self._known  # whether the direction is a quasi-Newton step
        self.aimed = self._known
        self._place = torch.arange(len(x))
        self._frozen = torch.zeros_like(self._known)  # of the batch, as are the rows below
        self._kept: dict[str, Tensor] | None = None  # state of frozen samples, from when they ended

    def difference(self, y: Tensor, x: Tensor) -> Tensor:
        self._x = x
        return super().difference(y, x)

    def next(self, y: Tensor) -> Tensor:
        x, f = self._x, self._f
        s, change = x - self._base, self._base_f - f
        unit = power_of_two(change)[:, None]  # a pair over a number defines the same inverse
        s, change = _over(s, unit), _over(change, unit)
        (size,), (slope, curvature), _ = norms_and_inners(
            [change], [(_over(f, self._unit), self._direction), (s, change)]
        )
        ended = (
            ~self._known | (self._plain > 0) | (slope.abs() <= FLAT * self._slope) | (self._trials >= TRIALS)
        )
        learned = ended & self._known & (curvature > CURVED * size * size) & curvature.isfinite()
        self._store(learned, s, change, curvature)
        if bool(ended.any()):
            self._begin(ended, x, f)
        # The slope falls in proportion to the length if the curvature is constant along the direction.
        factor = self._slope / (self._slope - slope)
        factor = torch.where(slope < self._slope, factor, LONGEST).nan_to_num(SHORTEST)
        self.aimed = ended & self._towards
        self._length = torch.where(ended, 1.0, self._length * factor.clamp(SHORTEST, LONGEST))
        self._trials = torch.where(ended, 0, self._trials + 1)
        return torch.addcmul(
            self._base, (self._length[:, None].to(self._unit) * self._unit).to(x), self._direction
        )

    def reset(self, samples: Tensor) -> None:
        self._curvatures[samples] = 0
        mask = samples.to(self._steps.device)
        # Assignment, because a factor of 0 would keep a nan in the dropped memory.
        self._steps[mask] = 0
        self._changes[mask] = 0
        self._known = self._known & ~samples
        self._plain = torch.where(samples, self._pause, self._plain)
        self._pause = torch.where(samples, 2 * self._pause, self._pause)
        self._frozen[self._place[samples]] = False

    def freeze(self, samples: Tensor) -> None:
        if not self._resumed:
            return
        # Rings start at their oldest pair, so that those of samples frozen at different times fit together.
        age = self._age()
        for name in ("_steps", "_changes", "_curvatures"):
            setattr(self, name, getattr(self, name)[:, age.to(getattr(self, name).device)])
        self._slot = 0
        if self._kept is None:
            self._kept = {name: getattr(self, name).clone() for name in (*VECTORS, *NUMBERS)}
        self._keep(self._kept, samples)
        self._frozen[self._place[samples]] = True

    def restore(self) -> None:
        """Continue with all samples, with those that were frozen as they were."""
        if self._kept is not None:
            self.freeze(~self._frozen[self._place])
            for name, value in self._kept.items():
                setattr(self, name, value)
        self._place = torch.arange(len(self._frozen))
        self._frozen, self._kept = torch.zeros_like(self._frozen), None
        self._f = torch.empty_like(self._x)

    def select(self, index: Tensor) -> None:
        super().select(index)
        for name in VECTORS:
            setattr(self, name, getattr(self, name)[index])
        for name in (*NUMBERS, "_place", "aimed"):
            setattr(self, name, getattr(self, name)[index.cpu()])

    def _keep(self, kept: dict[str, Tensor], samples: Tensor) -> None:
        for name, value in kept.items():
            mask = samples.to(value.device)
            value[self._place[samples].to(value.device)] = getattr(self, name)[mask]

    def _age(self) -> Tensor:
        """Places in the rings, from the oldest pair to the last."""
        return (torch.arange(self._steps.shape[1]) + self._slot) % self._steps.shape[1]

    def _store(self, learned: Tensor, s: Tensor, change: Tensor, curvature: Tensor) -> None:
        mask = learned.to(s.device)[:, None]
        self._steps[:, self._slot] = torch.where(mask, s, 0)
        self._changes[:, self._slot] = torch.where(mask, change, 0)
        self._curvatures[:, self._slot] = torch.where(learned, curvature, 0)
        self._slot = (self._slot + 1) % self._steps.shape[1]

    def _begin(self, samples: Tensor, x: Tensor, f: Tensor) -> None:
        """Begin a step of some samples, given as a mask, at x."""
        unit = power_of_two(f)[:, None]
        scaled = _over(f, unit)
        newton = self._newton(scaled)
        (size, reach), (slope,), _ = norms_and_inners([scaled, newton], [(scaled, newton)])
        plain = (self._plain > 0) | ~(slope > CURVED * size * reach)
        mask = plain.to(f.device)[:, None]
        direction = torch.where(mask, scaled, newton)
        mask = samples.to(f.device)[:, None]
        self._base, self._base_f = torch.where(mask, x, self._base), torch.where(mask, f, self._base_f)
        self._direction = torch.where(mask, direction, self._direction)
        self._unit = torch.where(mask, unit, self._unit)
        self._slope = torch.where(samples, torch.where(plain, size * size, slope), self._slope)
        self._known = self._known | samples
        self._plain = torch.where(samples, (self._plain - 1).clamp(min=0), self._plain)
        self._towards = torch.where(samples, ~plain, self._towards)

    def _newton(self, f: Tensor) -> Tensor:
        """Return H f, by the compact form of H (Byrd, Nocedal & Schnabel 1994, equation 3.1)."""
        S, Y = self._steps, self._changes
        age = self._age()  # so that R below is triangular
        column = f[:, :, None]
        products = torch.cat(
            [torch.bmm(S, Y.mT), torch.bmm(Y, Y.mT), torch.bmm(S, column), torch.bmm(Y, column)], 2
        )
        products = products.double().cpu()[:, age]
        m = S.shape[1]
        SY, YY = products[:, :, :m][:, :, age], products[:, :, m : 2 * m][:, :, age]
        Sf, Yf = products[:, :, 2 * m :].split(1, 2)
        D = self._curvatures[:, age]
        there = D > 0
        R = torch.triu(SY) + torch.diag_embed((~there).double())
        # γ of the last pair of each sample, 1 without one.
        last = (there * torch.arange(1, m + 1)).argmax(1, keepdim=True)
        latest = YY.diagonal(dim1=1, dim2=2).gather(1, last)
        gamma = torch.where(there.any(1, keepdim=True), D.gather(1, last) / latest, 1.0)[:, :, None]
        a = torch.linalg.solve_triangular(R, Sf, upper=True)
        middle = D[:, :, None] * a + gamma * (YY @ a) - gamma * Yf
        b = torch.linalg.solve_triangular(R.mT, middle, upper=False)
        place = torch.argsort(age)
        b, a = b[:, place].to(f), (gamma * a)[:, place].to(f)
        return gamma[:, :, 0].to(f) * f + torch.bmm(b.mT, S)[:, 0] - torch.bmm(a.mT, Y)[:, 0]


def _over(x: Tensor, unit: Tensor) -> Tensor:
    """Divide by a power of two ``(samples, 1)``, which may be out of the range of the dtype."""
    return (x.double() / unit).to(x)
