"""Networks, flows and discrete schemes of the inertial deep inverse prior, and the runs that the claims share."""

from .settings import PAPER, SMALL, Setting

__all__ = ["PAPER", "SMALL", "Setting"]
