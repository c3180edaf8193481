"""All mutants of the core."""

from __future__ import annotations

from ..engine import Mutant
from .certificates import CERTIFICATE_MUTANTS
from .estimators import ESTIMATOR_MUTANTS
from .operators import OPERATOR_MUTANTS
from .primal_dual import PRIMAL_DUAL_MUTANTS
from .ridge import RIDGE_MUTANTS
from .solves import SOLVE_MUTANTS
from .splittings import SPLITTING_MUTANTS

MUTANTS: tuple[Mutant, ...] = (
    *ESTIMATOR_MUTANTS,
    *SOLVE_MUTANTS,
    *CERTIFICATE_MUTANTS,
    *OPERATOR_MUTANTS,
    *SPLITTING_MUTANTS,
    *PRIMAL_DUAL_MUTANTS,
    *RIDGE_MUTANTS,
)
