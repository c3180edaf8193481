"""Wrong code, each piece of which some claim must notice."""

from .catalogue import MUTANTS

__all__ = ["MUTANTS"]
