"""C48. The variance of a randomly truncated Neumann series.

At the equilibrium, ``X = h + Bᵀ Σ_{k<N} q^{−k} (Jᵀ)^k v`` with a geometric number of terms, ``P(N > k) = q^k``, has the
mean g_DEQ, and for ``L² < q``

``E‖X − g_DEQ‖² ≤ (‖B‖ ‖v‖/(1 − L))² · L²(1 − q)/(q − L²)``.

X takes 1/(1 − q) terms on average, so a finite bound needs more than 1/(1 − L²) of them; a series of as many terms
that is cut has an error of at most ``L^{1/(1−q)}`` times ``‖B‖ ‖v‖/(1 − L)``. Attained with ``J = L·I``: a series cut
at K terms, with the remaining probability on the last, has the mean g_K and less variance, and comes near as K grows.

The terms are differences of gradients of the real estimator, and its variance is also compared with the double sum over
``⟨c_j, c_k⟩ (q^{−min(j, k)} − 1)``, ``c_k = Bᵀ(Jᵀ)^k v``, by dense algebra.

Source: Beatson, Adams (arXiv 1905.07006) for the estimator; PROOFS C48 for the variance.
"""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from solvers import neumann

from ..engine import Claim, Sides, conjunction
from ..instances import Case, solve_exactly, solver_gradient, synthetic, two_norm

TERMS = 40
"""K, at which the series is cut."""


def random_truncation(case: Case, q: float) -> tuple[float, float]:
    """``‖E X − g_K‖`` and ``E‖X − g_K‖²`` of the series cut at ``TERMS``, summed over all numbers of terms."""
    x = solve_exactly(case).x
    sums = [solver_gradient(neumann(0, K), case, x) for K in range(1, TERMS + 1)]
    value, values = sums[0], [sums[0]]
    for k in range(1, TERMS):
        value = value + (sums[k] - sums[k - 1]) / q**k
        values.append(value)
    # N = 1 to K − 1 with their own probabilities, and all larger N at the cut.
    chances = [q**k * (1 - q) for k in range(TERMS - 1)] + [q ** (TERMS - 1)]
    mean = torch.stack([chance * X for chance, X in zip(chances, values, strict=True)]).sum(0)
    variance = sum(chance * two_norm(X - sums[-1]) ** 2 for chance, X in zip(chances, values, strict=True))
    return two_norm(mean - sums[-1]), variance


def exact_variance(case: Case, q: float) -> float:
    """``Σ ⟨c_j, c_k⟩ (q^{−min(j, k)} − 1)`` over j and k below ``TERMS``."""
    e = solve_exactly(case)
    terms, u = [], e.v
    for _ in range(TERMS):
        terms.append(e.B.T @ u)
        u = e.J.T @ u
    c = torch.stack(terms)
    k = torch.arange(TERMS)
    weights = q ** -torch.minimum(k[:, None], k).double() - 1
    return float((c @ c.T * weights).sum())


def _sides(case: Case, share: float, worst: float) -> Sides:
    """Both sides, with ``L²`` in the denominator, or 0 for the negative control, times ``worst``."""
    e = solve_exactly(case)
    L = case.L
    q = L**2 + share * (1 - L**2)
    gap, variance = random_truncation(case, q)
    size = two_norm(e.B) * two_norm(e.v) / (1 - L)
    bound = size**2 * L**2 * (1 - q) / (q - worst * L**2)
    scale = max(size, two_norm(e.gradient))
    exact = exact_variance(case, q)
    return conjunction(
        Sides(variance, bound, scale**2),
        Sides(gap, 0.0, scale),
        Sides(abs(variance - exact), 0.0, max(scale**2, exact)),
    )


CLAIM = Claim(
    id="C48",
    statement="E X = g_DEQ and E‖X − g_DEQ‖² ≤ (‖B‖‖v‖/(1−L))² L²(1−q)/(q−L²) for a series of N terms, P(N > k) = q^k",
    source="arXiv 1905.07006; PROOFS C48",
    assumptions="L² < q < 1, started at the equilibrium",
    examples=st.tuples(synthetic.mild_contractions, st.sampled_from((0.2, 0.5, 0.9))),
    sides=lambda case, share: _sides(case, share, 1.0),
    negative_control=lambda case, share: _sides(case, share, 0.0),
    false_statement="the same with q for q − L², as if the terms were not divided by q^k",
    rounding=1e-10,
    attained=True,
)
