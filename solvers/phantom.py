"""Phantom gradients: damped recorded layers."""

from __future__ import annotations

from ._backward.modes import TruncatedBackprop
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def phantom(N: int, K: int, damping: float = 0.5) -> Solver:
    """N applications without a tape, then K recorded damped steps ``(1 − λ)x + λT(x)``.

    At the equilibrium ``g = λ Bᵀ Σ_{k<K} (λJᵀ + (1 − λ)I)^k v``, a damped Neumann series with the same limit.
    ``phantom(N, K, 1) = FixedSteps(N) × TruncatedBackprop(K)``, as is ``restarted_jfb``.

    Cost: N + K applications, K vector-Jacobian products. Tape: K applications.

    Args:
        N: number of applications without a tape, at least 0.
        K: number of recorded steps, at least 1.
        damping: λ in (0, 1].

    Raises:
        ValueError: an argument is out of its range.

    Source: Geng et al., *On training implicit models* (arXiv 2111.05177), the unrolled form.
    """
    at_least("N", N, 0)
    backward_mode = TruncatedBackprop(K, damping)
    label = f"phantom({N}, {K})" if damping == 0.5 else f"phantom({N}, {K}, {damping:g})"
    return Solver(label, FixedSteps(N), backward_mode)
