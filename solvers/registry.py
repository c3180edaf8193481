"""All estimators, for the benchmark and the conformance suite; a test compares them with the modules of this folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ._adjoint.cg import CG
from ._adjoint.gmres import GMRES
from ._adjoint.prox_cg import ProxCG
from ._adjoint.shine import SharedInverse
from ._core.label import label_name
from ._core.solver import Solver
from ._forward.anderson import Anderson
from ._forward.nesterov import Nesterov
from ._forward.picard import FixedSteps, Picard
from ._forward.quasi_newton import QuasiNewton
from .certified import certified
from .checkpointed import checkpointed
from .deq import deq
from .estimated import estimated
from .implicit import implicit
from .jfb import jfb
from .neumann import neumann
from .phantom import phantom
from .restarted_jfb import restarted_jfb
from .unrolled import unrolled


@dataclass(frozen=True, slots=True)
class EstimatorSpec:
    """An estimator and its properties, which the conformance suite checks.

    Attributes:
        make: factory of its solvers; its arguments are numbers, or solvers (see ``SOLVER_PARTS``).
        example: a solver of moderate depth, for the checks.
        bias: why its estimate differs from the exact gradient; ``None`` if it must agree with the oracle.
        adaptive: whether it stops by a tolerance, so that its counts depend on rounding and on the machine.
        damped: whether it is biased even if T is constant in x, because its recorded steps are damped.
        deeper: the estimator at depth n, if its error vanishes as n grows.
        citation: keys of ``bench/report/bibliography/references.bib``.
        colour: index of its colour and marker in figures and pages; estimators without one come last.
    """

    make: Callable[..., Solver]
    example: Solver
    bias: str | None = None
    adaptive: bool = False
    damped: bool = False
    deeper: Callable[[int], Solver] | None = None
    citation: tuple[str, ...] = ()
    colour: int | None = None


ESTIMATORS: dict[str, EstimatorSpec] = {
    "unrolled": EstimatorSpec(
        unrolled,
        unrolled(3),
        bias="the network is truncated after K layers, and so is its derivative",
        deeper=unrolled,
        citation=("gregor2010learning",),
        colour=0,
    ),
    "checkpointed": EstimatorSpec(
        checkpointed,
        checkpointed(7, 3),
        bias="the network is truncated after K layers, and so is its derivative",
        deeper=checkpointed,
        citation=("chen2016training",),
        colour=6,
    ),
    "jfb": EstimatorSpec(
        jfb,
        jfb(40),
        bias="the inverse of I − Jᵀ is dropped, however well the equilibrium is solved",
        citation=("fung2022jfb",),
        colour=2,
    ),
    "restarted_jfb": EstimatorSpec(
        restarted_jfb,
        restarted_jfb(3, 10),
        bias="the Neumann series stops after K terms, however many restarts there are",
        deeper=lambda n: restarted_jfb(n, 1),
        citation=("davy2025restarted",),
        colour=1,
    ),
    "neumann": EstimatorSpec(
        neumann,
        neumann(40, 3),
        bias="the Neumann series stops after K terms",
        deeper=lambda n: neumann(n, n),
        citation=("geng2021training",),
        colour=3,
    ),
    "phantom": EstimatorSpec(
        phantom,
        phantom(40, 3),
        bias="only K damped steps are recorded",
        damped=True,
        deeper=lambda n: phantom(n, n),
        citation=("geng2021training",),
        colour=7,
    ),
    "implicit": EstimatorSpec(
        implicit,
        implicit(Anderson(1e-12), GMRES(1e-12)),
        adaptive=True,
        citation=("bai2019deep",),
        colour=5,
    ),
    "deq": EstimatorSpec(
        deq,
        deq(1e-12),
        adaptive=True,
        citation=("bai2019deep", "walker2011anderson"),
        colour=4,
    ),
    "estimated": EstimatorSpec(
        estimated,
        estimated(1e-10),
        adaptive=True,
        citation=("bai2019deep", "walker2011anderson"),
        colour=9,
    ),
    "certified": EstimatorSpec(
        certified,
        certified(1e-10),
        adaptive=True,
        citation=("ehrhardt2024analyzing",),
        colour=8,
    ),
}

SOLVER_PARTS: dict[str, Callable[..., object]] = {
    label_name(kind): kind
    for kind in (FixedSteps, Picard, Nesterov, Anderson, QuasiNewton, GMRES, CG, ProxCG, SharedInverse)
}
"""Solvers that may be arguments of an estimator, by their names in labels."""
