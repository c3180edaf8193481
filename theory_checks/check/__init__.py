"""Check a user's solver, task or operator, and say in words what is wrong with it."""

from .command import print_checks, resolve_call, run_checks
from .outcome import CheckOutcome

__all__ = ["CheckOutcome", "print_checks", "resolve_call", "run_checks"]
