"""Solvers that are wrong in one way each."""

from __future__ import annotations

from dataclasses import dataclass

from solvers import FixedPoint, SolveReport


@dataclass(frozen=True)
class WrongSign:
    """Solves ``u = v − Jᵀu`` instead of ``u = v + Jᵀu``."""

    def __call__(self, T, v):
        u = v
        for _ in range(80):
            u = 2 * v - T(u)  # T is u -> v + Jᵀu
        return FixedPoint(u, SolveReport(80))
