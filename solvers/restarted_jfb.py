"""Restarted Jacobian-free backpropagation."""

from __future__ import annotations

from ._backward.modes import TruncatedBackprop
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def restarted_jfb(K: int, R: int) -> Solver:
    """Truncated backpropagation through the last K of (R+1)·K applications: R restarts of K layers, then K recorded.

    At the equilibrium ``g = Bᵀ Σ_{k<K} (Jᵀ)^k v``, the K-term Neumann series. Restarts reduce the error of the point,
    depth that of the derivative: ``‖g − g_DEQ‖ ≤ b L^K‖v‖/(1−L) + O(K L^((R+1)K−1))``. ``restarted_jfb(K, R)`` on T is
    ``jfb(R)`` on ``T^K``.

    Cost: (R+1)·K applications, K vector-Jacobian products. Tape: K applications, for any R.

    Args:
        K: number of layers per block, at least 1.
        R: number of restarts, at least 0.

    Raises:
        ValueError: K or R is not a whole number, or too small.

    Source: Davy, Briceño-Arias, Pustelnik, *Restarted contractive operators to learn at equilibrium*
    (arXiv 2506.13239).
    """
    at_least("K", K, 1)
    at_least("R", R, 0)
    return Solver(f"restarted_jfb({K}, {R})", FixedSteps(K * R), TruncatedBackprop(K))
