"""Mutants of certificates, audits, estimates and stopping goals."""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import Any

from torch import Tensor

from solvers import Certificate, GradientMonitor
from solvers._backward.certified import CertifiedBackward
from solvers._certificates.loss_curvature import loss_derivatives
from solvers._certificates.loss_enclosure import LossEnclosure

from ..engine import Mutant, mutant

CERTIFICATE, OBSERVED, CURVATURE, ENCLOSURE = (
    sys.modules[f"solvers._certificates.{n}"]
    for n in ("bound", "estimated_bounds", "loss_curvature", "loss_enclosure")
)
RIGHT_INNER = ENCLOSURE.inner
RIGHT_CURVATURE = GradientMonitor._curvature


def _relative_to_g(self: Certificate) -> float:
    return self.error / self.size if self.size else math.inf


def _cosine_of_its_own(self: Certificate) -> float:
    """The cosine of an audit's own, better gradient, in place of that of the audited one."""
    own_error = self.adjoint + self.equilibrium
    return math.sqrt(1 - (own_error / self.size) ** 2) if own_error < self.size else -1.0


def _unscaled(self: GradientMonitor, step: Any, towards: Tensor) -> Any:
    curvature, distance, why = RIGHT_CURVATURE(self, step, towards)
    factor = abs(MULTIPLE(step, loss_derivatives(step.loss, step.y)).factor)
    return (
        dataclasses.replace(
            curvature, smoothness=curvature.smoothness / factor, direct=curvature.direct / factor
        ),
        distance,
        why,
    )


MULTIPLE = sys.modules["solvers.monitor"]._multiple


def _goal_without_safety(self: CertifiedBackward, gradient: Any) -> float:
    return self.rtol * gradient.size


def _radius_without_adjoint(self: LossEnclosure) -> float:
    return self.jacobian + self.smoothness + self.rounding


def _half_inner(a: Tensor, b: Tensor) -> float:
    """Half the dual-weighted residual."""
    return RIGHT_INNER(a, b) / 2


CERTIFICATE_MUTANTS: tuple[Mutant, ...] = (
    mutant("no allowance for rounding in certificates", CERTIFICATE, "ROUNDING", 0.0, "C36"),
    mutant("certified's goal without 1/(1 + ρ)", CertifiedBackward, "goal", _goal_without_safety, "C27"),
    mutant("an error relative to ‖g‖", Certificate, "relative", property(_relative_to_g), "C33", "C27"),
    mutant(
        "the cosine of an audit's own gradient", Certificate, "cosine", property(_cosine_of_its_own), "C33"
    ),
    mutant(
        "enclosure without the adjoint residual",
        LossEnclosure,
        "radius",
        property(_radius_without_adjoint),
        "C44",
    ),
    mutant("half the dual-weighted residual", ENCLOSURE, "inner", _half_inner, "C44"),
    mutant("the curvature of a scaled loss unscaled", GradientMonitor, "_curvature", _unscaled, "C34"),
    Mutant(
        "estimated bounds without safety", ((OBSERVED, "SAFETY", 1.0), (CURVATURE, "SAFETY", 1.0)), ("C35",)
    ),
)
