"""C33. The other numbers of a certificate follow from its bound.

With ``c ≥ ‖g − F'‖``: the relative error ``‖g − F'‖/‖F'‖`` (relative to F', not to g) is at most ``relative``,
the cosine of g and F' at least ``cosine``, ‖F'‖ at least ``exact``, and ``‖g − F'‖`` at least ``least``. The
same holds for an audit, whose bounds come from a better gradient, and for the certificate of a scaled loss
(``times``). The first is attained with ``J = L·I``.

Source: the triangle inequality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import strategies as st
from torch import Tensor

from solvers import GMRES, Certificate, FixedSteps, implicit

from ..engine import Claim, Sides, conjunction
from ..instances import Case, solve_exactly, synthetic, two_norm
from .c26_audit import PerturbedGradient, perturbed_gradients
from .certified_runs import audit_gradient, certifiable, certificate_of_run, run_solver


def _follow(certificate: Certificate, g: Tensor, exact: Tensor, to_g: bool) -> Iterator[Sides]:
    """The inequalities of a certificate.

    Args:
        certificate: a certificate of g.
        g: the gradient.
        exact: the exact gradient.
        to_g: use ``c/‖g‖`` as the relative error (negative control).
    """
    error, size, gradient = two_norm(g - exact), two_norm(exact), two_norm(g)
    yield Sides(
        error, (certificate.error / gradient if to_g and gradient else certificate.relative) * size, size
    )
    product = gradient * size
    yield Sides(certificate.cosine * product - float(g @ exact), 0.0, product)
    yield Sides(certificate.exact, size, size)
    yield Sides(certificate.least, error, size + gradient)


def _both(
    case: Case, perturbed: PerturbedGradient, sharp: float, to_g: bool = False
) -> Iterator[tuple[Sides, ...]]:
    e, run = solve_exactly(case), run_solver(perturbed.solver, case)
    gradient, scaled = run.gradient, perturbed.factor * run.gradient
    pairs = (
        (certificate_of_run(case, run), gradient),
        (certificate_of_run(case, run).times(0.25), gradient / 4),
        (audit_gradient(case, run.y, scaled, sharp, 500), scaled),
    )
    for k, (certificate, g) in enumerate(pairs):
        exact = e.gradient * (0.25 if k == 1 else 1.0)
        yield tuple(_follow(certificate, g, exact, to_g))


def far(case: Case) -> Case:
    """The case with a start so far away that g is longer than F'."""
    return replace(case, name=f"far({case.name})", x0=30 * case.x0)


crude = st.builds(implicit, st.builds(FixedSteps, st.integers(0, 3)), st.just(GMRES(1e-9)))
# At a coarse point with the exact adjoint of that point the bound is attained, whether g or F' is longer.
tight = st.builds(PerturbedGradient, crude, st.just(1.0), st.just(0.0), st.just(0))
far_cases = st.builds(far, synthetic.isotropics)
sharpnesses = st.sampled_from((1.0, 0.5, 0.1))

CLAIM = Claim(
    id="C33",
    statement="‖g − F'‖ ≤ relative ‖F'‖, cos(g, F') ≥ cosine, ‖F'‖ ≥ exact, ‖g − F'‖ ≥ least: certificates and audits",
    source="the triangle inequality",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.one_of(
        st.tuples(st.one_of(certifiable, far_cases), st.one_of(perturbed_gradients, tight), sharpnesses),
        st.tuples(far_cases, tight, sharpnesses),
    ),
    sides=lambda *example: conjunction(*(sides for parts in _both(*example) for sides in parts)),
    negative_control=lambda *example: next(_both(*example, to_g=True))[0],
    false_statement="the error is relative to ‖g‖",
)
