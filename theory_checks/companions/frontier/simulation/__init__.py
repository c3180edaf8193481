"""Random networks, their mean field, and the landscapes, exponents and dimensions measured on them."""

from .settings import PAPER, SMALL, Setting

__all__ = ["PAPER", "SMALL", "Setting"]
