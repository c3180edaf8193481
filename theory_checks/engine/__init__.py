"""Run statements: claims on drawn examples, experiments at fixed seeds, and wrong code that both must notice."""

from .claim import Claim
from .claim_runner import verify_claim
from .experiment import (
    Evidence,
    Experiment,
    Measurement,
    at_least,
    at_most,
    between,
    near,
    reported,
    unmet,
    zero,
)
from .experiment_group import ExperimentGroup
from .experiment_runner import run_experiment
from .inequality import Sides, conjunction, disjunction, holds, side_ratio
from .mutation import Mutant, MutationResult, mutant, mutant_applied, run_mutant
from .verdict import ClaimVerdict, ExperimentVerdict, Verdict

__all__ = [
    "Claim",
    "ClaimVerdict",
    "Evidence",
    "Experiment",
    "ExperimentGroup",
    "ExperimentVerdict",
    "Measurement",
    "Mutant",
    "MutationResult",
    "Sides",
    "Verdict",
    "at_least",
    "at_most",
    "between",
    "conjunction",
    "disjunction",
    "holds",
    "mutant",
    "mutant_applied",
    "near",
    "reported",
    "run_experiment",
    "run_mutant",
    "side_ratio",
    "unmet",
    "verify_claim",
    "zero",
]
