"""The bounds of PROOFS that several claims share, with every constant exact."""

from __future__ import annotations

from dataclasses import dataclass

from .cases import Case
from .exact import Exact, norm, powers


@dataclass(frozen=True, slots=True)
class RestartedBound:
    """PROOFS S5, in parts: bias of the truncated series, and what is left of the error of the point.

    Attributes:
        bias: ``‖P_K‖ ‖v‖ L^K/(1 − L^K)``; no restart removes it.
        loss: ``H L^K δ + (b geo_K + D) Λ L^K δ``: the loss is differentiated at another point.
        derivative: ``D ‖v‖``: T is differentiated at other points.
    """

    bias: float
    loss: float
    derivative: float

    @property
    def total(self) -> float:
        """The bound on ``‖g_{K,R} − g_DEQ‖``."""
        return self.bias + self.loss + self.derivative


def restarted_bound(case: Case, e: Exact, K: int, R: int) -> RestartedBound:
    """The bound on the error of restarted JFB after R restarts of K layers.

    ``δ = L^{RK}‖x0 − x*‖``, ``geo_K = (1 − L^K)/(1 − L)``, ``D = L^{K−1} δ [K M_B + M_J b/(1 − L) (K − geo_K)]``.
    """
    L, b = case.L, norm(e.B)
    delta = L ** (R * K) * e.distance
    geo = (1 - L**K) / (1 - L)
    D = L ** (K - 1) * delta * (K * case.M_B + case.M_J * b / (1 - L) * (K - geo))
    bias = norm(powers(e.J, K) @ e.B) * norm(e.v) * L**K / (1 - L**K)
    direct = norm(case.loss.M) * L**K * delta
    return RestartedBound(bias, direct + (b * geo + D) * case.loss.q * L**K * delta, D * norm(e.v))
