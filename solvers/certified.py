"""Implicit gradient with a certified error."""

from __future__ import annotations

from ._backward.certified import CertifiedBackward
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def certified(rtol: float = 1e-2, budget: int = 2000) -> Solver:
    """Implicit gradient with ``‖g − F'‖ ≤ rtol ‖F'‖``, as certified by ``solvers._certificates.bound``.

    Anderson acceleration approaches the equilibrium and GMRES solves the adjoint equation, each only as far as the
    certificate requires: a rough adjoint shows what the distance to the equilibrium costs, and the cost of a residual
    of the adjoint equation is known. ``Solution.certificates`` has the certificate. ``Solution.converged`` is False if
    the budget or the rounding of the dtype ended the solve before. Where float32 ends progress, as with L near 1, the
    solve goes on in float64 if the regularity of T has ``in_float64()``; otherwise it issues a ``StagnationWarning``:
    solve in float64, or ask for a larger ``rtol``.

    Call it with the loss, ``solver(T, x0, loss)``. Without, the equilibrium is solved to a guessed tolerance, and the
    curvature of the loss is assumed. The certificate holds for the loss that is backpropagated: for a multiple of the
    given loss it is scaled, for another loss the adjoint equation is solved again. Hooks run once, on the gradient.

    The certificate is rigorous if ``T`` has a ``regularity()`` that states its parameters and its rounding, and the
    loss is ``Smooth``. Otherwise it is an estimate from observed derivatives, with a safety factor of 2, and may be
    wrong.

    Cost: applications and products as needed, at most about ``budget``. Tape: one application, and the vectors of
    Anderson and GMRES, at any depth.

    Args:
        rtol: relative error of the gradient.
        budget: maximal number of applications and vector-Jacobian products together.

    Raises:
        ValueError: ``rtol`` is not positive, or ``budget`` is below 1.
    """
    label = f"certified({rtol:g})" if budget == 2000 else f"certified({rtol:g}, {budget})"
    return Solver(label, FixedSteps(0), CertifiedBackward(rtol, budget))
