"""C26. An audit bounds the error of any vector from below and from above.

Let g' be a gradient with ``‖g' − F'‖ ≤ c'`` by C13. For every vector g,

‖g − g'‖ − c' ≤ ‖g − F'‖ ≤ ‖g − g'‖ + c',

and g' is improved until ``c' ≤ s ‖g − g'‖``, so that the two bounds differ by a factor of at most
``(1 + s)/(1 − s)``. The claim checks ``solvers.audit``, also with a budget that ends it earlier. The
assumptions are those of C13.

Source: the triangle inequality and C13. PROOFS B2 is the case in which g' is a correction of g.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from solvers import Solver

from ..engine import Claim, Sides, conjunction, disjunction
from ..instances import Case, solve_exactly, standard_normal, synthetic, two_norm
from .certified_runs import audit_gradient, certifiable, estimators, run_solver


@dataclass(frozen=True, slots=True)
class PerturbedGradient:
    """A vector to audit: ``factor`` times a solver's gradient, plus ``noise`` times its norm in a random direction."""

    solver: Solver
    factor: float
    noise: float
    seed: int

    def __repr__(self) -> str:
        return f"perturbed_gradient({self.solver.label}, {self.factor}, {self.noise}, {self.seed})"


def _both(
    case: Case, perturbed: PerturbedGradient, sharp: float, budget: int, share: float = 1.0
) -> tuple[Sides, Sides]:
    """The upper bound, times ``share``, and the lower bound, divided by ``share``."""
    e, run = solve_exactly(case), run_solver(perturbed.solver, case)
    noise = standard_normal(perturbed.seed, len(run.gradient))
    size = perturbed.noise * two_norm(run.gradient) / two_norm(noise)
    gradient = perturbed.factor * run.gradient + size * noise
    certificate = audit_gradient(case, run.y, gradient, sharp, budget)
    error, scale = two_norm(gradient - e.gradient), two_norm(e.gradient) + two_norm(gradient)
    return Sides(error, share * certificate.error, scale), Sides(certificate.least / share, error, scale)


perturbed_gradients = st.builds(
    PerturbedGradient,
    estimators,
    st.sampled_from((1.0, 1.0, 1.0, 0.5, -1.0, 3.0, 0.0)),
    st.sampled_from((0.0, 0.0, 1e-3, 1.0, 100.0)),
    synthetic.seeds,
)

CLAIM = Claim(
    id="C26",
    statement="least ≤ ‖g − F'‖ ≤ error for every vector g, by its distance to a certified gradient",
    source="the triangle inequality and C13",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.tuples(
        certifiable, perturbed_gradients, st.sampled_from((1.0, 0.5, 0.1)), st.sampled_from((1, 6, 20, 2000))
    ),
    sides=lambda case, perturbed, sharp, budget: conjunction(*_both(case, perturbed, sharp, budget)),
    negative_control=lambda case, perturbed, sharp, budget: disjunction(
        *_both(case, perturbed, sharp, budget, 0.5)
    ),
    false_statement="both with half the error, and twice the least",
    attained=True,
)
