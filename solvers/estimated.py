"""Implicit gradient with an estimated error."""

from __future__ import annotations

from ._adjoint.cg import CG
from ._adjoint.gmres import GMRES
from ._backward.estimated import EstimatedBackward
from ._core.solver import Solver
from ._forward.anderson import Anderson
from ._forward.quasi_newton import QuasiNewton

FORWARD, ADJOINT = 0.15, 0.6
"""Fractions of the error that the equilibrium and the adjoint equation may take, by their own estimates.

Together they are below 1, because the error of a gradient may be 4 times that of its cotangent (``EquilibriumError``).
At 0.25 and 0.5, one of 30 pairs of a task and an operator missed: a coefficient crossed a kink after the check.
"""
SYMMETRIC_FORWARD, SYMMETRIC_ADJOINT = 0.01, 0.4
"""The same for ``symmetric``, from random ridge regularisers and published weights of a CRR and a WCRR.

There the error of the gradient is up to 54 times that of its cotangent, as J changes at kinks. At 0.03 and 1.5, one of
10 pairs of weights and crops missed, by a factor of 2.
"""


def estimated(rtol: float = 1e-2, budget: int = 500, symmetric: bool = False) -> Solver:
    """Implicit gradient with an error of about ``rtol``, relative, on every operator.

    Anderson acceleration stops on the estimated error of the cotangent that the distance to the equilibrium makes, and
    GMRES on the estimated error of the adjoint. Both are errors, not residuals. So a tolerance means the same if T is
    relaxed, has another step or is another operator, where that of ``deq`` does not. Then the point is moved, and both
    solves continue until that changes the gradient little (``EstimatedBackward``).

    With ``symmetric``, L-BFGS and conjugate gradients take their places: for a gradient step on an energy, such as one
    with a learned regulariser.

    Call it with the loss, ``solver(T, x0, loss)``: without, the error of the equilibrium is relative to its norm, and
    nothing is checked by moving. The estimate is no bound: a kink of T between the last point and the equilibrium is
    not seen. At ``rtol`` 1e-2, the error was at most 3e-3 on 30 pairs of a task and an operator, and 6e-3 on six
    primal–dual ones (``tests/bench/test_estimated_tolerance.py``). At nine published weight files of learned
    regularisers it was 1.9e-2 at one, and with ``symmetric`` 1.8e-2 at another (``python -m bench published``). A bound
    takes ``certified``.

    Cost: applications and products as needed, plus one product and two applications; a check that fails costs more. The
    loss is differentiated at a few points, which is not counted. Tape: one application.

    Args:
        rtol: relative error of the gradient.
        budget: maximal number of applications, and of vector-Jacobian products.
        symmetric: whether J is symmetric: T is a gradient step. CG reports a J that is not.

    Raises:
        ValueError: ``rtol`` is not positive, or ``budget`` is below 1.
    """
    if symmetric:
        forward, adjoint = (
            QuasiNewton(SYMMETRIC_FORWARD * rtol, budget, error=True),
            CG(SYMMETRIC_ADJOINT * rtol, budget, error=True),
        )
    else:
        forward, adjoint = (
            Anderson(FORWARD * rtol, budget, error=True),
            GMRES(ADJOINT * rtol, budget, error=True),
        )
    words = [f"{rtol:g}"] + [f"{budget}"] * (budget != 500) + ["symmetric=True"] * symmetric
    return Solver(f"estimated({', '.join(words)})", forward, EstimatedBackward(forward, adjoint, rtol))
