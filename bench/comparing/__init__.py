"""Two runs, or two solvers of one run, held against each other: values, time, memory and counts, quality."""

from .compare import Comparison, compare_runs, compare_solvers
from .runs import Run, read
from .verdict import Change, Part, Verdict

__all__ = ["Change", "Comparison", "Part", "Run", "Verdict", "compare_runs", "compare_solvers", "read"]
