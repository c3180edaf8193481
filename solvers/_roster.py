"""The estimators on offer, written by hand: what the benchmark lists and the conformance suite runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ._anderson import Anderson
from ._cg import CG
from ._core import Solver
from ._gmres import GMRES
from ._nesterov import Nesterov
from ._reach import Iterate, Picard
from ._shared import Shared
from .certified import certified
from .checkpointed import checkpointed
from .deq import deq
from .implicit import implicit
from .jfb import jfb
from .neumann import neumann
from .phantom import phantom
from .restarted_jfb import restarted_jfb
from .unrolled import unrolled


@dataclass(frozen=True, slots=True)
class Estimator:
    """A factory of solvers and what it claims, which the conformance suite holds it to.

    Attributes:
        make: the factory; its arguments are numbers.
        example: a solver of moderate depth, on which every check runs.
        bias: why its estimate differs from the exact gradient, in words; ``None`` if it does not
            (then it must agree with the oracle to its tolerance).
        damped: it is biased even where T is constant in x, for its recorded steps are not whole ones.
        deeper: the same estimator at depth n, if its error claims to vanish as n grows.
    """

    make: Callable[..., Solver]
    example: Solver
    bias: str | None = None
    damped: bool = False
    deeper: Callable[[int], Solver] | None = None


ROSTER: dict[str, Estimator] = {
    "unrolled": Estimator(
        unrolled,
        unrolled(3),
        bias="the network is truncated after K layers, and so is its derivative",
        deeper=unrolled,
    ),
    "checkpointed": Estimator(
        checkpointed,
        checkpointed(7, 3),
        bias="the network is truncated after K layers, and so is its derivative",
        deeper=checkpointed,
    ),
    "jfb": Estimator(
        jfb,
        jfb(40),
        bias="the inverse of I − Jᵀ is dropped, however well the equilibrium is known",
    ),
    "restarted_jfb": Estimator(
        restarted_jfb,
        restarted_jfb(3, 10),
        bias="the Neumann series stops after K terms, however many restarts there are",
        deeper=lambda n: restarted_jfb(n, 1),
    ),
    "neumann": Estimator(
        neumann,
        neumann(40, 3),
        bias="the Neumann series stops after K terms",
        deeper=lambda n: neumann(n, n),
    ),
    "phantom": Estimator(
        phantom,
        phantom(40, 3),
        bias="only K damped steps are recorded",
        damped=True,
        deeper=lambda n: phantom(n, n),
    ),
    "implicit": Estimator(
        implicit,
        implicit(Anderson(1e-12), GMRES(1e-12)),
    ),
    "deq": Estimator(deq, deq(1e-12)),
    "certified": Estimator(certified, certified(1e-10)),
}

PARTS: dict[str, Callable[..., object]] = {
    "iterate": Iterate,
    "picard": Picard,
    "nesterov": Nesterov,
    "anderson": Anderson,
    "gmres": GMRES,
    "cg": CG,
    "shared": Shared,
}
"""Solves that may stand as arguments of an estimator, by the names that they have in labels."""
