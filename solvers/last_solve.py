"""What is known of the last solve of a ``Reconstructor``, and the warnings that it leads to."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

import torch

from ._certificates.jacobian_norm import largest_singular_value
from ._core.batch import SMALLEST, norms, rows
from ._core.certificate import Certificate
from ._core.maps import Map
from ._core.results import Solution, SolveReport


class EquilibriumWarning(UserWarning):
    """The operator has no equilibrium that a solve could find, or its gradient cannot be trusted."""


@dataclass(frozen=True, slots=True)
class LastSolve:
    """The outcome of a solve.

    Attributes:
        residual: ``‖T(x) − x‖ / ‖T(x)‖`` at the point found, the largest over the batch; nan if it was not measured.
        forward: report of the forward solve.
        adjoint: reports of the adjoint solves, filled by the backward pass; empty for estimators without one.
        certificates: those of the gradient, filled when known, for solvers that compute them.
        L: estimate of ``‖∂T/∂x‖`` at the point found, from below, the largest over the batch; nan if not measured.
    """

    residual: float
    forward: SolveReport
    adjoint: list[SolveReport] = field(repr=False)
    certificates: list[Certificate] = field(repr=False)
    L: float = math.nan

    @property
    def converged(self) -> bool | None:
        """Whether every solve so far met its tolerance; ``None`` if the forward solve has none."""
        if any(report.converged is False for report in self.adjoint):
            return False
        return self.forward.converged

    @property
    def certificate(self) -> Certificate | None:
        """The last certificate; ``None`` if the solver has computed none."""
        return self.certificates[-1] if self.certificates else None

    @property
    def values(self) -> dict[str, float]:
        """What a log writes: numbers by name, without those that were not measured."""
        certificate, converged = self.certificate, self.converged
        found = {
            "residual": self.residual,
            "L": self.L,
            "converged": math.nan if converged is None else float(converged),
            "applications": float(self.forward.applications),
            "adjoint products": float(sum(report.applications for report in self.adjoint)),
            "certified error": math.nan if certificate is None else certificate.error,
        }
        return {name: value for name, value in found.items() if not math.isnan(value)}


def look_at(T: Map, solution: Solution, *, measure: bool) -> LastSolve:
    """Summarise a solve, and warn where it diverged or T is no contraction.

    Args:
        T: the map.
        solution: what the solver returned.
        measure: measure ``L`` and the residual at the point: one application, and 20 products with J and Jᵀ each.

    Returns:
        The summary, which holds no tensor.
    """
    report, residual = solution.forward, solution.forward.residual
    J_norm = math.nan
    x = solution.x.detach()
    finite = bool(x.isfinite().all())
    if measure and finite:
        with torch.no_grad():
            y = T(x)
        distance, size = norms(rows(y - x), rows(y))
        residual = float((distance / size.clamp(min=SMALLEST)).max())
        J_norm, _ = largest_singular_value(T, x)
    if not finite or (report.converged is False and not residual < 1):
        _warn(f"the solve diverged (residual {residual:.3g}): its gradient means nothing")
    elif J_norm >= 1:
        _warn(
            f"the operator is no contraction: ‖J‖ ≥ {J_norm:.4g} where its solve ended (residual {residual:.3g})"
        )
    return LastSolve(residual, report, solution.adjoint, solution.certificates, J_norm)


def _warn(line: str) -> None:
    warnings.warn(line, EquilibriumWarning, stacklevel=6)
