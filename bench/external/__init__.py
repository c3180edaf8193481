"""External solvers: gradients of deepinv, torchdeq and arXiv 2510.01755, with the signature of the project's solvers.

torchdeq is in the dependency group ``peers`` alone. Without it this package can be imported; a call that needs torchdeq
raises a ``UserError`` that says what to install.
"""

from __future__ import annotations

from collections.abc import Callable

from solvers import ESTIMATORS

from .base import ExternalSolution, ExternalSolver
from .deepinv import DeepInverse, deepinv_anderson, deepinv_deq, deepinv_jfb, deepinv_unfolded
from .learned_regularizers import StudyGradient, study_ift, study_jfb
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
    "study_ift": study_ift,
    "study_jfb": study_jfb,
}
"""Factories by name, for ``bench.config.call_syntax.parse_call``."""


def is_external(family: str, from_user_file: bool) -> bool:
    """Whether a family of solvers belongs to another library: it is neither the project's nor from a user's file.

    An unknown name in a record, of a solver that was removed, counts as another library's.
    """
    return family in EXTERNAL_SOLVERS or (family not in ESTIMATORS and not from_user_file)


__all__ = [
    "EXTERNAL_SOLVERS",
    "DeepInverse",
    "ExternalSolution",
    "ExternalSolver",
    "StudyGradient",
    "TorchDEQ",
    "deepinv_anderson",
    "deepinv_deq",
    "deepinv_jfb",
    "deepinv_unfolded",
    "is_external",
    "study_ift",
    "study_jfb",
    "torchdeq_anderson",
    "torchdeq_broyden",
    "torchdeq_ift",
    "torchdeq_phantom",
]
