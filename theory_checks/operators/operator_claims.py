"""Check the claims that apply to a single operator."""

from __future__ import annotations

import math
from dataclasses import dataclass

from solvers import Picard, deq, restarted_jfb

from ..claims import CLAIMS
from ..claims.c26_audit import PerturbedGradient
from ..claims.certified_runs import with_known_bounds
from ..engine import holds, side_ratio
from ..instances import Case
from ..instances.diagnostics import settled_point, why_not_contractive, why_outside_theory
from ..instances.expansion import REMEDY, find_expansion
from .user_operator import FlattenedOperator

ROUNDING = 1e-9
"""Distance of L below 1 that counts as rounding."""

ARGUMENTS: dict[str, tuple[object, ...]] = {
    "C1": (deq(1e-12, 500),),
    "C2": (3,),
    "C3": (5, 2),
    "C4": (10,),
    "C18": (4, 2),
    "C19": (0.7, 1, -6, deq(1e-3)),
    "C21": (4,),
}
"""Claims that need no constant but L, and the arguments (solvers, depths) with which they are checked."""
WITH_CURVATURE: dict[str, tuple[object, ...]] = {
    "C6": (5, 2),
    "C7": (5, 1),
    "C8": (Picard(1e-2, 3000), Picard(1e-2, 3000)),
}
"""Claims that also need ``M_J`` and ``M_B``."""
WITH_REGULARITY: dict[str, tuple[object, ...]] = {
    "C13": (deq(1e-2),),
    "C24": (restarted_jfb(5, 2), 20),
    "C26": (PerturbedGradient(restarted_jfb(5, 2), 1.0, 0.0, 0), 0.5, 2000),
    "C27": (1e-2, 2000),
}
"""Claims that need ``M_J`` and ``M_B``, or a map with derivative bounds (``solvers.HasDerivativeBounds``)."""
APPLICABLE = (*ARGUMENTS, *WITH_CURVATURE, *WITH_REGULARITY)
"""Ids of all claims that can be checked on a single operator."""


@dataclass(frozen=True, slots=True)
class OperatorCheck:
    """The outcome of one claim on one operator.

    Attributes:
        claim: id of the claim.
        of: name of the operator, as the user or the benchmark calls it.
        L: Lipschitz constant used.
        rigour: ``known``, or ``estimate`` if L is a lower bound measured at the equilibrium.
        verdict: ``holds``, ``FAILS``, ``assumption not met`` or ``not applicable``.
        ratio: left over right side, or the relative deviation of an equality; nan if nothing was compared.
        reason: why the claim does not hold, in one line.
    """

    claim: str
    of: str
    L: float
    rigour: str
    verdict: str
    ratio: float
    reason: str = ""


def check_operator_claims(
    case: Case, rigour: str, claims: tuple[str, ...] = APPLICABLE
) -> list[OperatorCheck]:
    """Check those of ``claims`` that apply to a case. Assumptions are checked first.

    Args:
        case: the operator as a case.
        rigour: ``known`` if the case's L is a proven bound, otherwise ``estimate``.
        claims: ids of the claims to check.
    """
    curvature = WITH_CURVATURE if all(math.isfinite(m) for m in (case.M_J, case.M_B)) else {}
    regularity = WITH_REGULARITY if with_known_bounds(case).regularity() is not None else {}
    arguments = {n: a for n, a in (ARGUMENTS | curvature | regularity).items() if n in claims}
    verdict, reason = _unmet_assumption(case, rigour)
    if reason is None:
        checks = [_check_claim(case, rigour, name, values) for name, values in arguments.items()]
    else:
        checks = [
            OperatorCheck(name, case.name, case.L, rigour, verdict, math.nan, reason) for name in arguments
        ]
    inapplicable = [n for n in (*WITH_CURVATURE, *WITH_REGULARITY) if n in claims and n not in arguments]
    return checks + [
        OperatorCheck(n, case.name, case.L, rigour, "not applicable", math.nan, "M_J or M_B is not known")
        for n in inapplicable
    ]


def _unmet_assumption(case: Case, rigour: str) -> tuple[str, str | None]:
    """Verdict and reason for all claims if the map is not the contraction it should be; no reason otherwise."""
    if not case.L < 1 - ROUNDING:
        return "assumption not met", f"L = {case.L:.4g} ({rigour}) is not below 1: {REMEDY}"
    if not isinstance(case.T, FlattenedOperator):
        reason = why_not_contractive(case.T, settled_point(case.T, case.x0))
        return "FAILS", None if reason is None else f"L = {case.L:.4g} is stated, but {reason}"
    expansion = find_expansion(case.T, case.x0)
    if rigour == "known":
        # A stated L < 1 can be refuted by evidence, but not by mere signs.
        return "FAILS", expansion.why_above(case.L)
    reason = expansion.why_not_contractive()
    return "assumption not met", why_outside_theory(case.T, case.x0) if reason is None else reason


def _check_claim(case: Case, rigour: str, name: str, arguments: tuple[object, ...]) -> OperatorCheck:
    claim = CLAIMS[name]
    try:
        sides = claim.sides(case, *arguments)
    except ArithmeticError as error:
        # No equilibrium was found, which is impossible if L < 1 is known.
        verdict = "FAILS" if rigour == "known" else "assumption not met"
        return OperatorCheck(name, case.name, case.L, rigour, verdict, math.nan, str(error))
    satisfied = holds(sides, claim.rounding)
    reason = "" if satisfied else f"{sides.lhs:.6g} > {sides.rhs:.6g}"
    ratio = side_ratio(sides, claim.rounding)
    return OperatorCheck(name, case.name, case.L, rigour, "holds" if satisfied else "FAILS", ratio, reason)
