"""Jacobian-free backpropagation."""

from __future__ import annotations

from ._backward.modes import TruncatedBackprop
from ._core.argument_checks import at_least
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def jfb(N: int) -> Solver:
    """N applications without a tape, then one recorded: the inverse of ``I − Jᵀ`` is replaced by ``I``.

    ``g = Bᵀv``, the first term of the Neumann series, in place of ``Bᵀ(I − Jᵀ)⁻¹v``. However large N is, the
    error stays of the order ``L‖B‖‖v‖/(1−L)``. ``jfb(N) = neumann(N, 1) = restarted_jfb(1, N)``.

    Cost: N + 1 applications, 1 vector-Jacobian product, a tape of one application.

    Args:
        N: applications without a tape, at least 0.

    Raises:
        ValueError: N is not a whole number of at least 0.

    Source: Fung et al., *JFB: Jacobian-free backpropagation for implicit networks* (arXiv 2103.12803).
    """
    at_least("N", N, 0)
    return Solver(f"jfb({N})", FixedSteps(N), TruncatedBackprop(1))
