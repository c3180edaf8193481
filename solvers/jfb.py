"""Jacobian-free backpropagation."""

from __future__ import annotations

from ._backward.modes import TruncatedBackprop
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def jfb(N: int) -> Solver:
    """``g = Bᵀv`` after N applications without a tape: ``(I − Jᵀ)⁻¹`` is replaced by ``I``.

    That is the first term of the Neumann series. However large N is, the error remains of the order
    ``L‖B‖‖v‖/(1−L)``. ``jfb(N) = neumann(N, 1) = restarted_jfb(1, N)``.

    Cost: N + 1 applications, 1 vector-Jacobian product. Tape: one application.

    Args:
        N: number of applications without a tape, at least 0.

    Raises:
        ValueError: N is not a whole number of at least 0.

    Source: Fung et al., *JFB: Jacobian-free backpropagation for implicit networks* (arXiv 2103.12803).
    """
    at_least("N", N, 0)
    return Solver(f"jfb({N})", FixedSteps(N), TruncatedBackprop(1))
