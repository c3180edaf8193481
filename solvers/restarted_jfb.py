"""Restarted Jacobian-free backpropagation."""

from __future__ import annotations

from ._backward.modes import TruncatedBackprop
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def restarted_jfb(K: int, R: int) -> Solver:
    """R blocks of K applications without a tape, each continuing from the last, then K recorded ones.

    Truncated backpropagation through the last K of (R+1)·K applications. At the equilibrium it is the
    K-term Neumann series ``Bᵀ Σ_{k<K} (Jᵀ)^k v``; restarts remove the error of the point, depth removes that
    of the derivative: ``‖g − g_DEQ‖ ≤ b L^K‖v‖/(1−L) + O(K L^((R+1)K−1))``. ``restarted_jfb(K, R)`` on T is
    ``jfb(R)`` on ``T^K``.

    Cost: (R+1)·K applications, K vector-Jacobian products, a tape of K applications whatever R is.

    Args:
        K: layers of a block, at least 1.
        R: restarts, at least 0.

    Raises:
        ValueError: K or R is not a whole number, or too small.

    Source: Davy, Briceño-Arias, Pustelnik, *Restarted contractive operators to learn at equilibrium*
    (arXiv 2506.13239).
    """
    at_least("K", K, 1)
    at_least("R", R, 0)
    return Solver(f"restarted_jfb({K}, {R})", FixedSteps(K * R), TruncatedBackprop(K))
