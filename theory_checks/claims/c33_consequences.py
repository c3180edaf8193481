"""C33. What a certificate says besides its bound follows from it.

With ``c ≥ ‖g − F'‖``: the relative error ``‖g − F'‖/‖F'‖`` is at most ``relative`` (it is relative to F' and not to g),
the cosine of g and F' at least ``cosine``, ‖F'‖ at least ``exact`` and ``‖g − F'‖`` at least ``least``. The same of an
audit, whose bounds are those of a better gradient; and of the certificate of a loss c times as large (``times``). The
first is attained with ``J = L·I``.

Source: the triangle inequality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import strategies as st
from torch import Tensor

from solvers import GMRES, Certificate, Iterate, implicit

from ..engine.claim import Claim
from ..engine.inequality import Sides, conjunction
from ..instances import synthetic
from ..instances.exact import solve_exactly, two_norm
from ..instances.synthetic import Case
from .c26_audit import PerturbedGradient, perturbed_gradients
from .certified_runs import audit_gradient, certifiable, certificate_of_run, run_solver


def _follow(found: Certificate, g: Tensor, wanted: Tensor, to_g: bool) -> Iterator[Sides]:
    """``to_g``: as if the relative error were ``c/‖g‖``."""
    error, size, own = two_norm(g - wanted), two_norm(wanted), two_norm(g)
    yield Sides(error, (found.error / own if to_g and own else found.relative) * size, size)
    product = own * size
    yield Sides(found.cosine * product - float(g @ wanted), 0.0, product)
    yield Sides(found.exact, size, size)
    yield Sides(found.least, error, size + own)


def _both(
    case: Case, offered: PerturbedGradient, sharp: float, to_g: bool = False
) -> Iterator[tuple[Sides, ...]]:
    e, found = solve_exactly(case), run_solver(offered.solver, case)
    own, offer = found.gradient, offered.factor * found.gradient
    told = audit_gradient(case, found.y, offer, sharp, 500)
    pairs = (
        (certificate_of_run(case, found), own),
        (certificate_of_run(case, found).times(0.25), own / 4),
        (told, offer),
    )
    for k, (certificate, g) in enumerate(pairs):
        wanted = e.gradient * (0.25 if k == 1 else 1.0)
        yield tuple(_follow(certificate, g, wanted, to_g))


def far(case: Case) -> Case:
    """Started so far away that g is the longer one."""
    return replace(case, name=f"far({case.name})", x0=30 * case.x0)


crude = st.builds(implicit, st.builds(Iterate, st.integers(0, 3)), st.just(GMRES(1e-9)))
# At a crude point, with the adjoint of that point, the bound is attained, whichever of g and F' is the longer.
tight = st.builds(PerturbedGradient, crude, st.just(1.0), st.just(0.0), st.just(0))

CLAIM = Claim(
    id="C33",
    statement="‖g − F'‖ ≤ relative ‖F'‖, cos(g, F') ≥ cosine, ‖F'‖ ≥ exact, ‖g − F'‖ ≥ least: certificates and audits",
    source="the triangle inequality",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.tuples(
        st.one_of(certifiable, st.builds(far, synthetic.isotropics)),
        st.one_of(perturbed_gradients, tight),
        st.sampled_from((1.0, 0.5, 0.1)),
    ),
    sides=lambda *example: conjunction(*(sides for parts in _both(*example) for sides in parts)),
    negative_control=lambda *example: next(_both(*example, to_g=True))[0],
    false_statement="the error is relative to ‖g‖",
)
