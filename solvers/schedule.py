"""How wrong the gradient of the next step may be: loose while the outer problem is far from solved, then tight."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ._backward.certified import CertifiedBackward
from ._core.argument_checks import positive, share
from ._core.solver import Solver


@dataclass(frozen=True, slots=True)
class ToleranceSchedule:
    """Relative errors that follow the norms of the gradients: ``δ_t = first · (min_{s<t} ‖g_s‖ / ‖g_0‖)^power``.

    It is never below ``last``, never above ``first``, never goes up, and a loss that is scaled leaves it as it is.

    For gradient descent ``θ_{t+1} = θ_t − ηg_t`` on a G-smooth F with ``η ≤ 1/G``, ``‖g_t − F'_t‖ ≤ δ_t ‖F'_t‖``, and
    ``Δ = F(θ_0) − inf F``:

    - Any ``first < 1`` leaves no floor: ``(1 − first²) Σ ‖F'_t‖² ≤ 2Δ/η``.
    - With F convex, the distance to the trajectory of the exact gradients is at most ``η Σ e_t``,
      ``e_t = δ_t ‖F'_t‖``. Until ``last`` is reached, a power of 1 keeps that below
      ``η first ‖F'_0‖ + 2 first Δ / ((1 − first) ‖g_0‖)`` for any number of steps: e_t is at most a multiple of the
      product of two successive gradients' norms, and the sum of their squares is bounded by the line above.
    - From where ``last`` is reached, ``e_t = last ‖F'_t‖``: the sum stays finite where gradients vanish fast
      enough, as they do, linearly, if F is strongly convex; the distance then tends to 0.

    It promises nothing for Adam, momentum or clipping, nor for batches that change: there norms do not tend to 0, the
    schedule stays about as loose as they are large, and one gradient that happens to be small tightens it for good.

    In a loop: ``rtol = schedule.rtol(sizes)``, a step with ``certified(rtol)``, and ``sizes.append(‖g‖)``.

    Attributes:
        first: the relative error of the first step, below 1.
        last: the smallest that will be asked for, at most ``first``.
        power: of the progress; 0 keeps ``first``.

    Raises:
        ValueError: a value is out of its range.

    Source: Pedregosa (arXiv 1602.02355) for summable tolerances; that they follow the gradients, and the bounds above,
    are this project's own.
    """

    first: float = 0.3
    last: float = 1e-2
    power: float = 1.0

    def __post_init__(self) -> None:
        if share("first", self.first) == 1:
            raise ValueError("first must be below 1, or a gradient might not descend")
        if positive("last", self.last) > self.first:
            raise ValueError(f"last must be at most first, {self.first:g}, not {self.last:g}")
        if self.power:
            positive("power", self.power)

    def rtol(self, sizes: Sequence[float]) -> float:
        """The relative error of the next gradient.

        Args:
            sizes: norms of the gradients of all steps so far, before any clipping; none before the first step.

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
        """``certified(rtol(sizes))`` under the label and with the budget of ``solver``; other solvers as they are."""
        if not isinstance(solver.backward_mode, CertifiedBackward):
            return solver
        return dataclasses.replace(
            solver, backward_mode=dataclasses.replace(solver.backward_mode, rtol=self.rtol(sizes))
        )
