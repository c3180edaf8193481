"""Truncated unrolling."""

from __future__ import annotations

from ._backward.modes import TruncatedBackprop
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def unrolled(K: int) -> Solver:
    """Backpropagate through all K applications of T from ``x0``: the gradient of ``ℓ(T^K(x0; θ))``.

    Exact for the truncated network. For the equilibrium, point and derivative are biased, with an error of
    ``O(K L^(K−1))``. ``unrolled(K) = restarted_jfb(K, 0)``.

    Cost: K applications, K vector-Jacobian products. Tape: K applications.

    Args:
        K: number of layers, at least 1.

    Raises:
        ValueError: K is not a whole number of at least 1.

    Source: Gregor & LeCun, *Learning fast approximations of sparse coding* (ICML 2010).
    """
    at_least("K", K, 1)
    return Solver(f"unrolled({K})", FixedSteps(0), TruncatedBackprop(K))
