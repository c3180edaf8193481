"""A gradient that chooses its own depth: no K, no R, an error to stay below."""

from __future__ import annotations

from ._backward.certified import CertifiedBackward
from ._core.solver import Solver
from ._forward.picard import FixedSteps


def certified(rtol: float = 1e-2, budget: int = 2000) -> Solver:
    """The implicit gradient to a relative error of ``rtol``, as certified by ``solvers._certificates.bound``.

    The equilibrium is approached by Anderson acceleration and the adjoint equation solved by GMRES, each only as far as
    the certificate asks for: what the distance to the equilibrium costs is known as soon as the adjoint is
    roughly known, and what a residual of the adjoint equation costs is known exactly. ``Solution.certificates``
    holds the certificate; ``Solution.converged`` is False where the budget, or the rounding of the dtype, ended it
    first. Where nothing gets further, as in float32 with an L near 1, it warns (``StagnationWarning``): solve in
    float64, or ask for less.

    It wants to be told the loss, ``solver(T, x0, loss)``. Without, the equilibrium is solved to a tolerance
    that is a guess of what will be needed, and the curvature of the loss is assumed.

    The certificate is that of the loss that is backpropagated: for a multiple of the one that was told it is the
    multiple, and for another loss the adjoint equation is solved again. Cotangents are exchanged at the value, so that
    hooks run once and tensors between have their gradient.

    The certificate is rigorous where ``T`` knows its ``regularity()``, what leaves it is meant for and its rounding,
    and the loss is ``Smooth``; otherwise it is an
    estimate from what was seen on the way, with a safety factor of 2, and may be wrong.

    Cost: applications and products as needed, at most about ``budget``; a tape of one application, and the vectors of
    Anderson and GMRES, whatever the depth.

    Args:
        rtol: relative error, ``‖g − F'‖ ≤ rtol ‖F'‖``.
        budget: applications and vector-Jacobian products at most, taken together.

    Raises:
        ValueError: ``rtol`` is not positive, or ``budget`` is below 1.
    """
    label = f"certified({rtol:g})" if budget == 2000 else f"certified({rtol:g}, {budget})"
    return Solver(label, FixedSteps(0), CertifiedBackward(rtol, budget))
