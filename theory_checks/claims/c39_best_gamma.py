"""C39. The best γ of Douglas–Rachford and Peaceman–Rachford splitting.

``δ(γ) = ‖2 prox_{γf} − I‖``, and with it the factor ``|1 − α| + αδ(γ)`` of C38, is smallest at ``γ* = 1/√(σβ)``, where
``δ* = (√κ − 1)/(√κ + 1)`` with ``κ = β/σ``. Proof: ``(1 − γσ)/(1 + γσ)`` decreases in γ, ``(γβ − 1)/(γβ + 1)``
increases, and they are equal at γ*.

δ is measured here: the norm of the reflection that the operators apply, along the eigenvectors of σ and β.

Source: Giselsson, Boyd (arXiv 1407.6723), on the choice of the step size.
"""

from __future__ import annotations

import math

from hypothesis import strategies as st

from bench.operators.douglas_rachford import best_gamma

from ..engine import Claim, Sides, conjunction
from ..instances import standard_normal
from ..instances.splittings import curvatures, reflection
from ..instances.variational import (
    AcquiredData,
    Acquisition,
    acquire,
    acquisitions,
    distance,
    seeds,
)


def measured_factor(data: AcquiredData, ridge: float, gamma: float, seed: int) -> float:
    """δ(γ): by how much the reflection of the data term lengthens a random vector in the eigenspace of σ or of β."""
    reflect, direction = reflection(data, ridge, gamma), standard_normal(seed, *data.truth.shape)
    factors: list[float] = []
    for eigenvalue in (data.alpha, data.beta):
        mode = data.modes(direction, eigenvalue)
        mode = mode / mode.norm()
        factors.append(distance(reflect(data.truth + mode), reflect(data.truth)))
    return max(factors)


def _sides(acquisition: Acquisition, ridge: float, place: float, seed: int) -> Sides:
    data = acquire(acquisition)
    sigma, beta = curvatures(data, ridge)
    best = measured_factor(data, ridge, best_gamma((sigma, beta)), seed)
    root = math.sqrt(beta / sigma)
    other = measured_factor(data, ridge, _gamma_at(place, sigma, beta), seed)
    return conjunction(
        Sides(best, other, 1.0),
        Sides(abs(best - (root - 1) / (root + 1)), 0.0, 1.0),
    )


def _gamma_at(place: float, sigma: float, beta: float) -> float:
    """γ on a logarithmic scale: 0 is 1/β, 1 is 1/σ, and ½ is γ*."""
    return beta ** (place - 1) * sigma**-place


def _at_an_end(acquisition: Acquisition, ridge: float, place: float, seed: int) -> Sides:
    data = acquire(acquisition)
    sigma, beta = curvatures(data, ridge)
    ends = (measured_factor(data, ridge, gamma, seed) for gamma in (1 / beta, 1 / sigma))
    return Sides(min(ends), measured_factor(data, ridge, _gamma_at(place, sigma, beta), seed), 1.0)


CLAIM = Claim(
    id="C39",
    statement="δ(γ*) = (√κ−1)/(√κ+1) ≤ δ(γ) = ‖2 prox_{γf} − I‖ for every γ, at γ* = 1/√(σβ)",
    source="arXiv 1407.6723",
    assumptions="f quadratic, σ > 0",
    examples=st.tuples(
        acquisitions(),
        st.sampled_from((0.5, 0.1, 0.02, 0.001)),
        st.sampled_from((0.45, 0.55, 0.3, 0.7, 0.0, 1.0, -0.5, 1.5)),
        seeds,
    ),
    sides=_sides,
    negative_control=_at_an_end,
    false_statement="1/β or 1/σ is as good",
)
