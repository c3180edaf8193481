"""C24. The certificate with look-ahead: m further adjoint terms bound the error and correct the gradient.

With ``a_0 = w_0``, ``a_{i+1} = J(y)ᵀa_i``, ``c = B(y)ᵀ Σ_{i<m} a_i`` and ``S₂ = S + e_K Σ_{i<m} ‖a_i‖``, both

‖g + c − F'‖ ≤ c₂ := H e_K + M_B S₂ + b/(1−L) · (‖a_m‖ + Λ e_K + M_J S₂) and ‖g − F'‖ ≤ ‖c‖ + c₂.

The bias is measured rather than bounded as m grows, and what is left of c₂ is the error of the point. Both
are attained at the equilibrium with ``J = L·I``. Assumes what C13 does.

Source: PROOFS B2.
"""

from __future__ import annotations

from hypothesis import strategies as st

from .. import cases
from ..cases import Case
from ..certificates import certificate, least, worst
from ..claim import Claim, Sides
from ..exact import exact, norm


def _both(case: Case, K: int, R: int, m: int, bounded_with: int) -> tuple[Sides, Sides]:
    """Corrected and plain gradient after m terms, against the bound of ``bounded_with`` terms."""
    e, run = exact(case), certificate(case, K, R, m)
    bound, scale = certificate(case, K, R, bounded_with).bound, norm(e.gradient)
    corrected = Sides(norm(run.gradient + run.correction - e.gradient), bound, scale)
    return corrected, Sides(norm(run.gradient - e.gradient), norm(run.correction) + bound, scale)


CLAIM = Claim(
    id="C24",
    statement="‖g + c − F'‖ ≤ c₂ and ‖g − F'‖ ≤ ‖c‖ + c₂ after m look-ahead terms",
    source="PROOFS B2",
    assumptions="L < 1; M_J, M_B, Λ, H valid on the iterates and x*",
    examples=st.tuples(cases.contractions, cases.depths, cases.restarts, st.integers(0, 12)),
    sides=lambda case, K, R, m: worst(*_both(case, K, R, m, m)),
    too_strong=lambda case, K, R, m: least(*_both(case, K, R, m, m + 1)),
    twin="the same with ‖a_{m+1}‖ in place of ‖a_m‖",
    attained=True,
)
