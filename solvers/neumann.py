"""A truncated Neumann series through one recorded application."""

from __future__ import annotations

from ._backward.modes import ImplicitDifferentiation
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def neumann(N: int, K: int) -> Solver:
    """``g = Bᵀ Σ_{k<K} (Jᵀ)^k v`` after N applications without a tape, with J and B at one recorded application.

    The limit of ``restarted_jfb(K, R)`` for many restarts, with the tape of one application.
    ``neumann(N, 1) = jfb(N)``.

    Cost: N + 1 applications, K vector-Jacobian products. Tape: one application, for any K.

    Args:
        N: number of applications without a tape, at least 0.
        K: number of terms of the series, at least 1.

    Raises:
        ValueError: N or K is not a whole number, or too small.

    Source: Geng et al., *On training implicit models* (arXiv 2111.05177), eq. for the Neumann phantom gradient.
    """
    at_least("N", N, 0)
    at_least("K", K, 1)
    return Solver(f"neumann({N}, {K})", FixedSteps(N), ImplicitDifferentiation(FixedSteps(K - 1)))
