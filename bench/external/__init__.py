"""Peers: the gradients of deepinv and torchdeq behind the signature of our own solvers.

torchdeq belongs to the dependency group ``peers``; without it everything here is imported all the same, and its calls
say what to install.
"""

from __future__ import annotations

from collections.abc import Callable

from solvers import ESTIMATORS

from .base import ExternalSolution, ExternalSolver
from .deepinv import DeepInverse, deepinv_anderson, deepinv_deq, deepinv_jfb, deepinv_unfolded
from .torchdeq import TorchDEQ, torchdeq_anderson, torchdeq_broyden, torchdeq_ift, torchdeq_phantom

EXTERNAL_SOLVERS: dict[str, Callable[..., ExternalSolver]] = {
    "deepinv_unfolded": deepinv_unfolded,
    "deepinv_jfb": deepinv_jfb,
    "deepinv_deq": deepinv_deq,
    "deepinv_anderson": deepinv_anderson,
    "torchdeq_phantom": torchdeq_phantom,
    "torchdeq_ift": torchdeq_ift,
    "torchdeq_anderson": torchdeq_anderson,
    "torchdeq_broyden": torchdeq_broyden,
}
"""Factories by name, for ``bench.config.call_syntax.parse_call``."""


def is_external(family: str, from_user_file: bool) -> bool:
    """Whether a solver of this family is another library's: neither ours, nor from a file of the user's.

    A record may name a solver that is not offered any more; it counts as another library's.
    """
    return family in EXTERNAL_SOLVERS or (family not in ESTIMATORS and not from_user_file)


__all__ = [
    "EXTERNAL_SOLVERS",
    "DeepInverse",
    "ExternalSolution",
    "ExternalSolver",
    "TorchDEQ",
    "deepinv_anderson",
    "deepinv_deq",
    "deepinv_jfb",
    "deepinv_unfolded",
    "is_external",
    "torchdeq_anderson",
    "torchdeq_broyden",
    "torchdeq_ift",
    "torchdeq_phantom",
]
