"""Phantom gradients: damped recorded layers."""

from __future__ import annotations

from ._backward.modes import TruncatedBackprop
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def phantom(N: int, K: int, damping: float = 0.5) -> Solver:
    """N applications without a tape, then K recorded damped steps ``(1 − λ)x + λT(x)``.

    At the equilibrium ``g = λ Bᵀ Σ_{k<K} (λJᵀ + (1 − λ)I)^k v``: the series of a preconditioned Jacobian, shorter steps
    towards the same limit. ``phantom(N, K, 1) = FixedSteps(N) × TruncatedBackprop(K)``, as ``restarted_jfb`` is.

    Cost: N + K applications, K vector-Jacobian products, a tape of K applications.

    Args:
        N: applications without a tape, at least 0.
        K: recorded steps, at least 1.
        damping: λ in (0, 1].

    Raises:
        ValueError: one of them is out of its range.

    Source: Geng et al., *On training implicit models* (arXiv 2111.05177), the unrolled form.
    """
    at_least("N", N, 0)
    pull = TruncatedBackprop(K, damping)
    label = f"phantom({N}, {K})" if damping == 0.5 else f"phantom({N}, {K}, {damping:g})"
    return Solver(label, FixedSteps(N), pull)
