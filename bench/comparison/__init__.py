"""Compare two runs, or two solvers of one run: values, time, memory and counts, quality."""

from .change import Aspect, Difference, Outcome
from .compare import Comparison, compare_runs, compare_solvers
from .pairing import StoredRun, read_stored_run

__all__ = [
    "Aspect",
    "Comparison",
    "Difference",
    "Outcome",
    "StoredRun",
    "compare_runs",
    "compare_solvers",
    "read_stored_run",
]
