"""A truncated Neumann series through one recorded application."""

from __future__ import annotations

from ._backward.modes import ImplicitDifferentiation
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def neumann(N: int, K: int) -> Solver:
    """N applications without a tape, one recorded, and K terms of the series on the way back.

    ``g = Bᵀ Σ_{k<K} (Jᵀ)^k v`` with J and B at the point reached: what ``restarted_jfb(K, ·)`` tends to as its
    restarts grow, on the tape of one application. ``neumann(N, 1) = jfb(N)``.

    Cost: N + 1 applications, K vector-Jacobian products, a tape of one application whatever K is.

    Args:
        N: applications without a tape, at least 0.
        K: terms of the series, at least 1.

    Raises:
        ValueError: N or K is not a whole number, or too small.

    Source: Geng et al., *On training implicit models* (arXiv 2111.05177), eq. for the Neumann phantom gradient.
    """
    at_least("N", N, 0)
    at_least("K", K, 1)
    return Solver(f"neumann({N}, {K})", FixedSteps(N), ImplicitDifferentiation(FixedSteps(K - 1)))
