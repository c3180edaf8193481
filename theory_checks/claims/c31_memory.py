"""C31. Less memory changes no gradient.

``checkpointed(K, s)`` makes its tape again in segments of s layers: its gradient is that of ``unrolled(K)`` to the bit,
whatever s is. GMRES that begins again after m products ends at the adjoint that one with room for all of them
finds, up to the two residuals, times ``1/(1 − L)``. A Krylov space of n dimensions holds the adjoint itself.

Source: Chen et al. (arXiv 1604.06174), Saad & Schultz (1986).
"""

from __future__ import annotations

from hypothesis import strategies as st

from solvers import GMRES, checkpointed, unrolled

from .. import cases
from ..batches import batches
from ..cases import F64, Case
from ..certificates import worst
from ..claim import Claim, Sides
from ..exact import estimate, norm
from ..linear import adjoint_equation

TOL = 1e-8


def _sides(case: Case, K: int, segment: int, memory: int, layers: int) -> Sides:
    full = estimate(unrolled(layers), case)
    gap = norm(estimate(checkpointed(K, segment), case) - full)
    T = adjoint_equation(case, F64)
    least, most = (GMRES(TOL, 3000, m)(T, T.v) for m in (memory, 30))
    # Relative to ‖v + Jᵀu‖, which is no larger than (1 + L)/(1 − L) ‖v‖.
    allowed = sum(at.report.residual for at in (least, most)) * 2 / (1 - case.L) ** 2 * norm(T.v.flatten())
    return worst(
        Sides(gap, 1e-14 * norm(full), 0.0),
        Sides(norm((least.x - most.x).flatten()), allowed + 1e-12 * norm(most.x.flatten()), 0.0),
    )


CLAIM = Claim(
    id="C31",
    statement="checkpointed(K, s) = unrolled(K) for every s, and GMRES with any memory ends at the same adjoint",
    source="arXiv 1604.06174; Saad & Schultz 1986",
    assumptions="L < 1; T deterministic",
    examples=st.tuples(batches, cases.depths, st.integers(1, 5), st.sampled_from((2, 3, 5))),
    sides=lambda case, K, segment, memory: _sides(case, K, segment, memory, K),
    too_strong=lambda case, K, segment, memory: _sides(case, K, segment, memory, -(-K // segment) * segment),
    twin="the last segment is a full one",
    rounding=0.0,
)
