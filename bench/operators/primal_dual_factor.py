"""The factor of a primal–dual iteration in its weighted norm, and the steps that make it small, in closed form.

``min_s f(s) + g(K s)`` with quadratic f, whose second derivative H has eigenvalues in ``[μ, β]``, and with g* strongly
convex of modulus κ ≥ 0. The iteration on ``z = (s, u)``, the dual first, contracts in the norm of

    P = [[1/τ, Kᵀ], [K, 1/σ]],    m = 1/τ − σ‖K‖² > 0,

by ``L = 1/√(1 + ρ)``. For a gradient step on f (Condat–Vũ, with m ≥ β/2) ``ρ = min(cτ/(1 − cτ), 2κσ)``, where ``c = min
over h ∈ {μ, β} of h (2 − h/m)``. For a prox of f (Chambolle–Pock), with ``τσ‖K‖² ≤ 1``, ``s = τμ`` and ``t = σκ``, it
is ``L = 1/(1 + min(s, t))`` if ``|s − t| ≥ min(s, t)(s + t)``, and ``(s + t)/(2√(st(1 + s + t)))`` otherwise, which is
``1/√(1 + 2s)`` at s = t. L is 1 if f or g* is not strongly convex.

Proof. Take two states, and write ``(e, v)`` for their difference, ``(x, w)`` for that after an iteration,
``r = e − x``, ``t = v − w``, and q for the difference of the subgradients of g*, so that ``⟨q, w⟩ ≥ κ‖w‖²``. The
iteration is ``P (z − z⁺) = (∇f(s) + Kᵀu⁺, q⁺ − K s⁺)``, with ``∇f(s⁺)`` in place of ``∇f(s)`` for a prox. Since
``‖d‖² = ‖d⁺‖² + 2⟨P(d − d⁺), d⁺⟩ + ‖d − d⁺‖²`` in the norm of P, and the terms of K cancel,

    ‖(e, v)‖_P² = ‖(x, w)‖_P² + 2⟨He, x⟩ + 2⟨q, w⟩ + ‖(r, t)‖_P²,    P (r, t) = (He + Kᵀw, q − K x).

``P − diag(m, 0)`` is positive semi-definite, and a form Q is at least ``2⟨Q d, z⟩ − ⟨Q z, z⟩`` for every z, here
``z = (ρx, 0)``:

    ‖(r, t)‖_P² ≥ m‖r‖² + 2ρ⟨He + Kᵀw − m r, x⟩ − ρ²(1/τ − m) ‖x‖².

With ``e = x + r``, all terms of r are ``m‖r‖² + 2⟨((1 + ρ)H − ρm) r, x⟩ ≥ −‖((1 + ρ)H − ρm) x‖²/m``, so that

    ‖(e, v)‖_P² ≥ ‖(x, w)‖_P² + (1 + ρ)² ⟨(2H − H²/m) x, x⟩ − ρ²‖x‖²/τ + 2κ‖w‖² + 2ρ⟨K x, w⟩.

``2H − H²/m ≥ c``, for ``h (2 − h/m)`` is concave in h. So this is at least ``(1 + ρ) ‖(x, w)‖_P²``, since
``(1 + ρ) cτ ≥ ρ`` and ``2κσ ≥ ρ``. ∎

For a prox, H acts on x in place of e. With ``z = ((a − 1)x, (b − 1)w)`` for any a and b, and P itself as Q, the sum is
at least ``(1 + ρ) ‖(x, w)‖_P²`` for ``1 + ρ = a(2 − b)``, at which the terms of ``⟨Kx, w⟩`` are equal, if

    2a μτ ≥ ρ + (a − 1)² = a(a − b),    2b κσ ≥ ρ + (b − 1)² = (2 − b)(a − b)

and a, b ≥ 0: that is ``a − b ≤ min(2s, 2bt/(2 − b))``. The largest ``a(2 − b)`` is ``(1 + s)²`` at ``b = 1 − s``,
``a = 1 + s``, if the second minimum is no less than 2s there, which is ``t(1 − s) ≥ s(1 + s)``; or ``(1 + t)²`` at
``b = 1 + t``, ``a = b + 2t(1 + t)/(1 − t)``, if ``s(1 − t) ≥ t(1 + t)``; or else where both are equal,
``b = 2s/(s + t)``, ``a = b + 2s``: ``1 + ρ = 4st(1 + s + t)/(s + t)²``. ∎

For the prox, ``τσ‖K‖² = 1`` is allowed, and then ``1 + ρ = 1 + 2√(μκ)/‖K‖`` at best: the rate that Chambolle & Pock
2011 (doi 10.1007/s10851-010-0251-1, Theorem 3) have for a shorter extrapolation. The norm of P: He & Yuan 2012
(doi 10.1137/100814494); the condition ``m ≥ β/2``: Condat 2013 (doi 10.1007/s10957-012-0245-9), Vũ 2013
(doi 10.1007/s10444-011-9254-8).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SLACK = 0.55
"""Least m in units of β. At ½ the iteration need not converge without strong convexity (Condat 2013, Theorem 3.1), and
near it the directions of the largest curvature swing to and fro."""


@dataclass(frozen=True, slots=True)
class Curvatures:
    """The constants of a problem ``min f(s) + g(K s)``, at present parameters.

    Attributes:
        least, largest: μ and β, of f.
        dual: κ, of g*.
        norm_squared: a bound on ``‖K‖²``.
    """

    least: float
    largest: float
    dual: float
    norm_squared: float


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps τ and σ of a primal–dual iteration."""

    tau: float
    sigma: float


def gradient_factor(tau: float, sigma: float, given: Curvatures) -> float:
    """L for a gradient step on f; 1 if nonexpansive, ``nan`` if ``m < β/2``, for which nothing is known."""
    m = 1 / tau - sigma * given.norm_squared
    if not m * (1 + 1e-12) >= given.largest / 2 or not m > 0:  # the steps were rounded
        return math.nan
    c = max(0.0, min(h * (2 - h / m) for h in (given.least, given.largest)))
    return _factor(c / (1 / tau - c), sigma, given)


def _factor(primal: float, sigma: float, given: Curvatures) -> float:
    return 1 / math.sqrt(1 + min(primal, 2 * given.dual * sigma))


def prox_factor(tau: float, sigma: float, given: Curvatures) -> float:
    """L for a prox of f; 1 if nonexpansive, ``nan`` if ``τσ‖K‖² > 1``, for which nothing is known."""
    if not tau * sigma * given.norm_squared <= 1 + 1e-12:
        return math.nan
    s, t = given.least * tau, given.dual * sigma
    less, more = min(s, t), max(s, t)
    if more - less >= less * (less + more):
        return 1 / (1 + less)
    return (s + t) / (2 * math.sqrt(s * t * (1 + s + t)))


def metric_extremes(tau: float, sigma: float, norm_squared: float) -> tuple[float, float]:
    """Bounds on the eigenvalues of P: those of ``[[1/τ, ‖K‖], [‖K‖, 1/σ]]``."""
    mean, half = (1 / tau + 1 / sigma) / 2, (1 / tau - 1 / sigma) / 2
    largest = mean + math.hypot(half, math.sqrt(norm_squared))
    return (1 / (tau * sigma) - norm_squared) / largest, largest  # their product is the determinant


def gradient_slack(least: float, largest: float) -> float:
    """m for a gradient step: ``(μ + β)/2``, the least for which μ decides c, but at least ``SLACK``·β."""
    return max((least + largest) / 2, SLACK * largest)


def best_gradient_sigma(given: Curvatures) -> float:
    """The σ of the largest ρ for the m of ``gradient_slack``: ``cτ/(1 − cτ) = 2κσ = ρ`` there.

    With ``1/τ = m + σ‖K‖²`` and ``σ = ρ/(2κ)`` it is ``‖K‖²ρ²/(2κ) + (m − c)ρ − c = 0``.
    """
    m = gradient_slack(given.least, given.largest)
    c = given.least * (2 - given.least / m)
    rho = 2 * c / (m - c + math.sqrt((m - c) ** 2 + 2 * c * given.norm_squared / given.dual))
    return rho / (2 * given.dual)


def best_prox_sigma(given: Curvatures, product: float) -> float:
    """The σ of the largest ρ for a product ``τσ‖K‖²``: ``τμ = σκ`` there."""
    return math.sqrt(product * given.least / (given.dual * given.norm_squared))
