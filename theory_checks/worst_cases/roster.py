"""All cases, in the order of the claims."""

from __future__ import annotations

from bench.utils.errors import unknown

from .case import Case
from .models import (
    c03_series,
    c07_trajectory,
    c08_residual,
    c09_forward_backward,
    c10_prox,
    c12_learning,
    c14_damping,
    c15_conjugate_gradients,
    c26_audit,
    c38_splittings,
    c43_primal_dual,
)

MODELS = (
    c03_series,
    c07_trajectory,
    c08_residual,
    c09_forward_backward,
    c10_prox,
    c12_learning,
    c14_damping,
    c15_conjugate_gradients,
    c26_audit,
    c38_splittings,
    c43_primal_dual,
)
CASES: tuple[Case, ...] = tuple(
    sorted((case for model in MODELS for case in model.CASES), key=lambda case: int(case.claim[1:]))
)


def select_cases(claims: str | None) -> tuple[Case, ...]:
    """The cases of comma-separated claims; ``None`` selects all.

    Raises:
        UserError: a claim has no exact worst case, or there is none.
    """
    known = list(dict.fromkeys(case.claim for case in CASES))
    names = [name.strip() for name in claims.split(",") if name.strip()] if claims is not None else known
    for name in names or [claims or ""]:
        if name not in known:
            raise unknown("claim with an exact worst case", name, known)
    return tuple(case for case in CASES if case.claim in names)
