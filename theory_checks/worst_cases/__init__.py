"""Exact worst cases of bounds over whole classes of problems, by semidefinite programmes, with proofs."""

from .case import NOT_TIGHT, TIGHT, VIOLATED, Case, WorstCase, worst_case
from .roster import CASES, select_cases

__all__ = ["CASES", "NOT_TIGHT", "TIGHT", "VIOLATED", "Case", "WorstCase", "select_cases", "worst_case"]
