"""Data, inverse problems, estimators and trained networks behind LE-MMSE, evaluated once for all claims."""

from .settings import PAPER, SMALL, Setting

__all__ = ["PAPER", "SMALL", "Setting"]
