"""Mutants of primal–dual splitting, of its norm and of its factor."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from deepinv.physics import LinearPhysics
from torch import Tensor

from bench.operators import CondatVu, DataFidelity, PrimalDual, data_fidelity
from bench.operators.primal_dual_factor import Curvatures

from ..engine import Mutant, mutant

FACTOR = sys.modules["bench.operators.primal_dual_factor"]
METRIC, CONDAT_VU_TAU = PrimalDual.metric, CondatVu.tau


def _forward(
    pull: Callable[[Tensor, Tensor], Tensor], dual_step: Callable[[Tensor], Tensor] = lambda sigma: sigma
) -> Any:
    """An iteration that takes ``Kᵀ pull(u, u⁺)`` from s, with the prox of g* at ``dual_step(σ)``."""

    def forward(
        self: PrimalDual, x: Tensor, y: Tensor, physics: LinearPhysics, *, data: DataFidelity | None = None
    ) -> Tensor:
        data = data or data_fidelity(y, physics)
        s, u = self.primal(x), x[:, self.penalty.primal_channels :]
        sigma = self.coupling / self.penalty.norm_squared()
        dual = self.penalty.dual_prox(u + sigma * self.penalty.analyse(s), dual_step(sigma))
        return torch.cat((self.primal_step(s, self.penalty.adjoint(pull(u, dual)), data), dual), 1)

    return forward


def _negated_coupling(self: PrimalDual, state: Tensor) -> Tensor:
    """P with −K in place of K."""
    n = self.penalty.primal_channels
    flipped = METRIC(self, torch.cat((state[:, :n], -state[:, n:]), 1))
    return torch.cat((flipped[:, :n], -flipped[:, n:]), 1)


def _long_step(self: CondatVu) -> float:
    """``2/m`` with the m of the right τ, without ``σ‖K‖²``."""
    return 2 / (1 / CONDAT_VU_TAU(self) - self.coupling)


def _of_primal_alone(primal: float, sigma: float, given: Curvatures) -> float:
    return 1 / math.sqrt(1 + primal)


def _of_dual_alone(primal: float, sigma: float, given: Curvatures) -> float:
    return 1 / math.sqrt(1 + 2 * given.dual * sigma)


def _iteration(name: str, wrong: Any, *claims: str) -> Mutant:
    return mutant(name, PrimalDual, "forward", wrong, *claims)


PRIMAL_DUAL_MUTANTS: tuple[Mutant, ...] = (
    _iteration("2u⁺ + u for 2u⁺ − u", _forward(lambda u, new: 2 * new + u), "C37", "C43"),
    _iteration("no over-relaxation of the dual", _forward(lambda u, new: new), "C43"),
    _iteration("the extrapolation of the dual turned round", _forward(lambda u, new: 2 * u - new), "C43"),
    _iteration("the dual prox at 1/σ", _forward(lambda u, new: 2 * new - u, lambda sigma: 1 / sigma), "C37"),
    mutant("−K in the norm of P", PrimalDual, "metric", _negated_coupling, "C43"),
    mutant("τ = 2/m, without σ‖K‖²", CondatVu, "tau", _long_step, "C37", "C43"),
    mutant("the primal–dual factor of the primal alone", FACTOR, "_factor", _of_primal_alone, "C43"),
    mutant("the primal–dual factor of the dual alone", FACTOR, "_factor", _of_dual_alone, "C43"),
)
