"""The a-posteriori certificates B1 and B2 of PROOFS, and how a claim of several inequalities becomes one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from solvers import restarted_jfb

from .cases import Case
from .claim import Sides
from .exact import cotangents, estimate, iterate, jacobians, norm
from .verify import holds, ratio

ROUNDING = 1e-11
"""The default of ``Claim.rounding``."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a run of ``restarted_jfb(K, R)`` proves about its own gradient, from L, M_J, M_B, Λ and the run alone.

    Attributes:
        gradient: ``g``, what the real estimator returns.
        correction: the look-ahead terms ``B(y)ᵀ Σ_{i<m} a_i``; zero when ``m = 0``.
        point: what the inexact point costs in h and B: ``H e_K + M_B S``.
        adjoint: what the adjoint equation misses, before the inverse: ``b(‖a_m‖ + Λ e_K + M_J S)``.
        bound: ``point + adjoint/(1 − L)``, on ``‖g + correction − F'‖``.
    """

    gradient: Tensor
    correction: Tensor
    point: float
    adjoint: float
    bound: float


def certificate(case: Case, K: int, R: int, terms: int = 0) -> Certificate:
    """B1 (``terms = 0``) or B2 (``terms = m`` look-ahead terms) after ``restarted_jfb(K, R)`` from the case's start.

    ``e_k`` bounds ``‖x_k − x*‖`` by residuals, ``w_k`` are the adjoints of the K recorded iterates, ``a_0 = w_0``
    and ``a_{i+1} = J(y)ᵀa_i``; ``S = Σ e_{k−1}‖w_k‖ + e_K Σ_{i<m} ‖a_i‖``. Source: PROOFS B1, B2.
    """
    points = _recorded(case, K, R)
    y = points[-1].detach()
    adjoints = _adjoints(case, points)
    w = [norm(adjoint) for adjoint in adjoints]
    e = _errors(case, points)
    S = sum(e[k - 1] * w[k] for k in range(1, K + 1))
    J, B = jacobians(case, y)
    a = adjoints[0]
    total = torch.zeros_like(a)
    for _ in range(terms):
        total = total + a
        S += e[K] * norm(a)
        a = J.T @ a
    b = norm(B) + case.M_B * e[K]
    point = norm(case.loss.M) * e[K] + case.M_B * S
    adjoint = b * (norm(a) + case.loss.q * e[K] + case.M_J * S)
    return Certificate(
        estimate(restarted_jfb(K, R), case), B.T @ total, point, adjoint, point + adjoint / (1 - case.L)
    )


def _recorded(case: Case, K: int, R: int) -> list[Tensor]:
    """``x_0 … x_K``: the point where the restarts end, and the K iterates on the tape."""
    # A copy: without restarts the iterate is the case's own start.
    points = [iterate(case, K * R).clone().requires_grad_()]
    for _ in range(K):
        points.append(case.T(points[-1]))
    return points


def _adjoints(case: Case, points: list[Tensor]) -> tuple[Tensor, ...]:
    """``w_0 … w_K``: derivatives of the loss with respect to the recorded iterates, by autograd."""
    v, _ = cotangents(case, points[-1])
    return torch.autograd.grad(points[-1], points, v, retain_graph=True)


def _errors(case: Case, points: list[Tensor]) -> list[float]:
    """``e_k = min(‖x_{k+1} − x_k‖/(1 − L), L e_{k−1})``, one application beyond the last iterate."""
    with torch.no_grad():
        trajectory = [*points, case.T(points[-1])]
        e: list[float] = []
        for here, after in pairwise(trajectory):
            measured = norm(after - here) / (1 - case.L)
            e.append(min(measured, case.L * e[-1]) if e else measured)
    return e


def worst(*sides: Sides) -> Sides:
    """The conjunction of several inequalities: one that is violated, else the tightest."""
    return max(sides, key=_severity)


def least(*sides: Sides) -> Sides:
    """For a twin of several false inequalities: violated only where every one of them is."""
    return min(sides, key=_severity)


def _severity(sides: Sides) -> tuple[bool, float]:
    return not holds(sides, ROUNDING), ratio(sides, ROUNDING)
