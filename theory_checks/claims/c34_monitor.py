"""C34. A monitor certifies the gradient of the loss that was backpropagated, also if it is scaled.

A training loop that accumulates batches, or scales the loss for float16, backpropagates ``cℓ``, while the
``GradientMonitor`` knows ℓ. The certificate that it logs bounds the error of the gradient of ``cℓ``, and all its parts,
including that of the curvature of the loss, are ``|c|`` times those of the certificate of ℓ, to rounding.

Source: C13, for ``cℓ``, whose constants are ``cΛ`` and ``cH``.
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import Solver

from ..engine import Claim, Sides, conjunction, disjunction
from ..instances import Case, solve_exactly, two_norm
from .certified_runs import certifiable, estimators, monitored_step, smooth_loss, with_known_bounds


def _sides(case: Case, solver: Solver, c: float, by: float | None = None) -> Sides:
    e = solve_exactly(case)
    T, loss = with_known_bounds(case), smooth_loss(case)
    once, plain = monitored_step(case, solver, T, loss)
    scaled, gradient = monitored_step(case, solver, T, loss, c)
    factor = abs(c if by is None else by)
    size = abs(c) * two_norm(e.gradient)
    pairs = [
        (scaled.error, once.error),
        (scaled.equilibrium, once.equilibrium),
        (scaled.adjoint, once.adjoint),
    ]
    # Parts that are only rounding, relative to the gradient, are not the same to the bit for every c.
    rounding = 1e-9 * factor * once.error + 1e-12 * once.amplification * factor * once.size
    alike = [Sides(abs(part - factor * plain_part), rounding) for part, plain_part in pairs]
    if by is not None:
        return disjunction(*alike[:1])
    return conjunction(
        Sides(two_norm(gradient - c * e.gradient), scaled.error, size),
        *alike,
        Sides(two_norm(plain - e.gradient), once.error, size),
    )


def _outside(case: Case, solver: Solver, c: float) -> str | None:
    if not case.L < 1:
        return f"L = {case.L:.6g} is not below 1"
    # A direct dependence of the loss on the parameters is not on the tape of the monitor.
    return "the loss depends on the parameters directly" if float(case.loss.M.abs().max()) else None


CLAIM = Claim(
    id="C34",
    statement="if cℓ is backpropagated, a monitor of ℓ logs |c| times the certificate of ℓ, which bounds the error",
    source="C13",
    assumptions="L < 1; the loss sees the parameters through x alone",
    examples=st.tuples(certifiable, estimators, st.sampled_from((-1.0, 1e-3, 0.25, 64.0))),
    sides=_sides,
    negative_control=lambda case, solver, c: _sides(case, solver, c, by=1.0),
    false_statement="the monitor logs the certificate of ℓ",
    outside=_outside,
)
