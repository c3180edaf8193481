"""C31. Saving memory does not change a gradient.

``checkpointed(K, s)`` recomputes its tape in segments of s layers. Its gradient is that of ``unrolled(K)`` to
the bit, for every s. GMRES with restarts after m products finds the same adjoint as GMRES without restarts, up
to the sum of the two residuals times ``1/(1 − L)``.

Source: Chen et al. (arXiv 1604.06174), Saad & Schultz (1986).
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import GMRES, checkpointed, unrolled

from ..engine import Claim, Sides, conjunction
from ..instances import F64, Case, solver_gradient, synthetic, two_norm
from ..instances.adjoint_equation import build_adjoint_equation
from ..instances.batches import batches

TOL = 1e-8


def _sides(case: Case, K: int, segment: int, memory: int, layers: int) -> Sides:
    full = solver_gradient(unrolled(layers), case)
    gap = two_norm(solver_gradient(checkpointed(K, segment), case) - full)
    T = build_adjoint_equation(case, F64)
    small, large = (GMRES(TOL, 3000, m)(T, T.v) for m in (memory, 30))
    # Residuals are relative to ‖v + Jᵀu‖, which is at most (1 + L)/(1 − L) ‖v‖.
    allowed = (
        sum(equilibrium.report.residual for equilibrium in (small, large))
        * 2
        / (1 - case.L) ** 2
        * two_norm(T.v.flatten())
    )
    return conjunction(
        Sides(gap, 1e-14 * two_norm(full), 0.0),
        Sides(two_norm((small.x - large.x).flatten()), allowed + 1e-12 * two_norm(large.x.flatten()), 0.0),
    )


CLAIM = Claim(
    id="C31",
    statement="checkpointed(K, s) = unrolled(K) for every s, and GMRES with any memory ends at the same adjoint",
    source="arXiv 1604.06174; Saad & Schultz 1986",
    assumptions="L < 1; T deterministic",
    examples=st.tuples(batches, synthetic.depths, st.integers(1, 5), st.sampled_from((2, 3, 5))),
    sides=lambda case, K, segment, memory: _sides(case, K, segment, memory, K),
    negative_control=lambda case, K, segment, memory: _sides(
        case, K, segment, memory, -(-K // segment) * segment
    ),
    false_statement="the last segment is a full one",
    rounding=0.0,
)
