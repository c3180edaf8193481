"""Attack rigorous certificates: guided random trials that look for a bound below the true error."""

from .search import run_attack

__all__ = ["run_attack"]
