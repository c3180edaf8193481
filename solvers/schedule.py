"""A schedule for the relative error of gradients: loose while the outer problem is far from solved, then tight."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ._backward.certified import CertifiedBackward
from ._core.argument_checks import fraction, positive
from ._core.solver import Solver


@dataclass(frozen=True, slots=True)
class ToleranceSchedule:
    """Relative errors that follow the gradient norms: ``δ_t = first · (min_{s<t} ‖g_s‖ / ‖g_0‖)^power``.

    δ_t stays between ``last`` and ``first``, never increases, and does not change if the loss is scaled.

    For gradient descent ``θ_{t+1} = θ_t − ηg_t`` on a G-smooth F with ``η ≤ 1/G``, ``‖g_t − F'_t‖ ≤ δ_t ‖F'_t‖``, and
    ``Δ = F(θ_0) − inf F``:

    - Any ``first < 1`` suffices for gradients to vanish: ``(1 − first²) Σ ‖F'_t‖² ≤ 2Δ/η``.
    - If F is convex, the distance to the trajectory of exact gradients is at most ``η Σ e_t`` with
      ``e_t = δ_t ‖F'_t‖``. Until ``last`` is reached, a power of 1 keeps it below
      ``η first ‖F'_0‖ + 2 first Δ / ((1 − first) ‖g_0‖)`` for any number of steps: e_t is at most a multiple of the
      product of two successive gradient norms, and the sum of their squares is bounded by the line above.
    - After that, ``e_t = last ‖F'_t‖``. The sum stays finite if gradients vanish fast enough, as they do, linearly, for
      a strongly convex F; the distance then tends to 0.

    Nothing is guaranteed for Adam, momentum, clipping, or batches that change: there norms do not tend to 0, δ_t stays
    about as large as they are, and a single small gradient tightens it for good.

    In a loop: ``rtol = schedule.rtol(sizes)``, a step with ``certified(rtol)``, and ``sizes.append(‖g‖)``.

    Attributes:
        first: relative error of the first step, below 1.
        last: smallest relative error, at most ``first``.
        power: exponent of the progress; 0 keeps ``first``.

    Raises:
        ValueError: a value is out of its range.

    Source: Pedregosa (arXiv 1602.02355) for summable tolerances; that they follow the gradients, and the bounds above,
    are this project's own.
    """

    first: float = 0.3
    last: float = 1e-2
    power: float = 1.0

    def __post_init__(self) -> None:
        if fraction("first", self.first) == 1:
            raise ValueError("first must be below 1, or a step might not be a descent step")
        if positive("last", self.last) > self.first:
            raise ValueError(f"last must be at most first, {self.first:g}, not {self.last:g}")
        if self.power:
            positive("power", self.power)

    def rtol(self, sizes: Sequence[float]) -> float:
        """Return the relative error of the next gradient.

        Args:
            sizes: gradient norms of all steps so far, before clipping; empty before the first step.

        Raises:
            ValueError: a norm is negative or not finite.
        """
        if not all(math.isfinite(size) and size >= 0 for size in sizes):
            raise ValueError("norms of gradients must be finite and not negative")
        if not sizes:
            return self.first
        progress = min(sizes) / sizes[0] if sizes[0] > 0 else 0.0
        return max(self.last, min(self.first, self.first * progress**self.power))

    def tighten(self, solver: Solver, sizes: Sequence[float]) -> Solver:
        """Return a ``certified`` solver with ``rtol(sizes)`` in place of its own; any other solver unchanged."""
        if not isinstance(solver.backward_mode, CertifiedBackward):
            return solver
        backward_mode = dataclasses.replace(solver.backward_mode, rtol=self.rtol(sizes))
        return dataclasses.replace(solver, backward_mode=backward_mode)
