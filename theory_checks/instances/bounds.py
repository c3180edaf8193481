"""Bounds of PROOFS that several claims share, evaluated with exact constants."""

from __future__ import annotations

from dataclasses import dataclass

from .exact import ExactSolution, power_sum, two_norm
from .synthetic import Case


@dataclass(frozen=True, slots=True)
class RestartedBound:
    """The bound of PROOFS S5 on the error of restarted JFB, in parts.

    Attributes:
        bias: ``‖P_K‖ ‖v‖ L^K/(1 − L^K)``, from the truncated series; restarts do not reduce it.
        loss: ``H L^K δ + (b geo_K + D) Λ L^K δ``, because the loss is differentiated away from x*.
        derivative: ``D ‖v‖``, because T is differentiated away from x*.
    """

    bias: float
    loss: float
    derivative: float

    @property
    def total(self) -> float:
        """The bound on ``‖g_{K,R} − g_DEQ‖``."""
        return self.bias + self.loss + self.derivative


def restarted_bound(case: Case, e: ExactSolution, K: int, R: int) -> RestartedBound:
    """The bound on the error of restarted JFB with K recorded layers and R restarts.

    ``δ = L^{RK}‖x0 − x*‖``, ``geo_K = (1 − L^K)/(1 − L)``, ``D = L^{K−1} δ [K M_B + M_J b/(1 − L) (K − geo_K)]``.
    """
    L, b = case.L, two_norm(e.B)
    delta = L ** (R * K) * e.distance
    geo = (1 - L**K) / (1 - L)
    D = L ** (K - 1) * delta * (K * case.M_B + case.M_J * b / (1 - L) * (K - geo))
    bias = two_norm(power_sum(e.J, K) @ e.B) * two_norm(e.v) * L**K / (1 - L**K)
    direct = two_norm(case.loss.M) * L**K * delta
    return RestartedBound(bias, direct + (b * geo + D) * case.loss.q * L**K * delta, D * two_norm(e.v))
