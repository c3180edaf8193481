"""The benchmark: solvers × imaging tasks × depths, measured, stored and reported."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""
