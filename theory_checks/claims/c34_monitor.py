"""C34. A loss may be scaled on its way: a monitored step is certified as it was backpropagated.

A training that adds up batches, or scales for float16, backpropagates ``cℓ`` where ``ℓ`` is what the ``Monitor`` was
told. What it logs bounds the error of the gradient that arrived, and is c times the certificate of the step without
the factor, to rounding: all parts of it, the curvature of the loss among them.

Source: C13, for ``cℓ``, whose constants are ``cΛ`` and ``cH``.
"""

from __future__ import annotations

from hypothesis import strategies as st
from torch import Tensor

from solvers import Certificate, Loss, Monitor, Solver

from ..batches import shaped
from ..cases import Case
from ..certificates import certifiable, criterion, estimators, known, least, worst
from ..claim import Claim, Sides
from ..exact import exact, norm


def logged(case: Case, solver: Solver, c: float) -> tuple[Certificate, Tensor]:
    """What a monitor logs of one step whose loss is multiplied by c, and the gradient that arrived."""
    found: list[Certificate] = []
    monitor = Monitor(solver, lambda _, certificate: found.append(certificate), every=1)
    loss: Loss = criterion(case)
    case.T.zero_grad()
    solution = monitor(known(case), shaped(case, case.x0), loss)
    (c * loss(solution.x)).backward()
    assert case.T.theta.grad is not None, "no gradient reached theta"
    return found[0], case.T.theta.grad.clone()


def _sides(case: Case, solver: Solver, c: float, by: float | None = None) -> Sides:
    e = exact(case)
    once, plain = logged(case, solver, 1.0)
    found, gradient = logged(case, solver, c)
    factor = abs(c if by is None else by)
    size = abs(c) * norm(e.gradient)
    pairs = [(found.error, once.error), (found.equilibrium, once.equilibrium), (found.adjoint, once.adjoint)]
    # Parts that are rounding alone, relative to the gradient, are not the same to the bit for every c.
    rounding = 1e-9 * factor * once.error + 1e-12 * once.amplification * factor * once.size
    alike = [Sides(abs(many - factor * one), rounding) for many, one in pairs]
    if by is not None:
        return least(*alike[:1])
    return worst(
        Sides(norm(gradient - c * e.gradient), found.error, size),
        *alike,
        Sides(norm(plain - e.gradient), once.error, size),
    )


def _outside(case: Case, solver: Solver, c: float) -> str | None:
    if not case.L < 1:
        return f"L = {case.L:.6g} is not below 1"
    # The loss sees the parameters by itself as well: a monitor has no tape of that.
    return "the loss depends on the parameters directly" if float(case.loss.M.abs().max()) else None


CLAIM = Claim(
    id="C34",
    statement="a Monitor that is told ℓ and sees cℓ logs |c| times the certificate of ℓ, and it bounds the error",
    source="C13",
    assumptions="L < 1; the loss sees the parameters through x alone",
    examples=st.tuples(certifiable, estimators, st.sampled_from((-1.0, 1e-3, 0.25, 64.0))),
    sides=_sides,
    too_strong=lambda case, solver, c: _sides(case, solver, c, by=1.0),
    twin="it logs the certificate of ℓ",
    outside=_outside,
)
