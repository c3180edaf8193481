"""The rows of the table; a further one is one more value in the list."""

from __future__ import annotations

from dataclasses import dataclass

from solvers import (
    CG,
    QuasiNewton,
    Solver,
    certified,
    deq,
    estimated,
    implicit,
    jfb,
    restarted_jfb,
)

from ...external import ExternalSolver
from ...external.learned_regularizers import study_ift, study_jfb

STUDY = "arXiv 2510.01755"
OURS = "eqgrad"
ADVISED = implicit(QuasiNewton(1e-8), CG(1e-5))
"""What docs/published.md advises."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to a gradient.

    Attributes:
        source: whose way it is.
        solver: the way.
        audited: its error is estimated by ``solvers.audit`` too, which costs more than most rows.
    """

    source: str
    solver: Solver | ExternalSolver
    audited: bool = False

    @property
    def identity(self) -> str:
        """Everything that decides its numbers."""
        return repr((self.solver.composition, self.audited))


ROWS = (
    Row(STUDY, study_ift(1e-4), audited=True),
    Row(STUDY, study_ift(1e-5)),
    Row(STUDY, study_ift(1e-6)),
    Row(STUDY, study_jfb(1e-4)),
    Row("arXiv 2506.13239", restarted_jfb(10, 10)),
    Row("arXiv 2103.12803", jfb(100)),
    Row("arXiv 1909.01377", deq(1e-6)),
    Row(OURS, estimated(1e-2)),
    Row(OURS, estimated(1e-2, symmetric=True)),
    Row(OURS, implicit(QuasiNewton(1e-6), CG(1e-5))),
    Row(OURS, implicit(QuasiNewton(1e-7), CG(1e-5))),
    Row(OURS, ADVISED, audited=True),
    Row(OURS, certified(0.1)),
)
