"""A row of the table: an estimator, its starts, an optimiser, and the share of the data in a step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from solvers import GMRES, Anderson, Solver, estimated, implicit, restarted_jfb
from solvers.optimisers import LBFGS, Adam, Optimiser


class Starts(Enum):
    """Where the solves of a sample start; the value is what tables say."""

    COLD = "cold"
    STATES = "last states"
    BOTH = "last states and adjoints"


@dataclass(frozen=True, slots=True)
class Row:
    """One way to learn.

    Attributes:
        solver: estimates the gradient.
        starts: where its solves start.
        optimiser: takes the steps.
        whole: each step sees all crops, not one batch.
    """

    solver: Solver
    starts: Starts
    optimiser: Optimiser
    whole: bool = False

    @property
    def label(self) -> str:
        """What progress and errors know it by."""
        return " · ".join((self.data, self.method, self.solver.label, self.starts.value))

    @property
    def method(self) -> str:
        """The name of the optimiser."""
        return type(self.optimiser).__name__

    @property
    def data(self) -> str:
        """What a step sees."""
        return "all crops" if self.whole else "batches"


KRYLOV = implicit(Anderson(1e-4), GMRES(3e-3))
ADAM = Adam(lr=0.1)
ROWS = (
    *(Row(restarted_jfb(10, 10), starts, ADAM) for starts in (Starts.COLD, Starts.STATES)),
    *(Row(solver, starts, ADAM) for solver in (KRYLOV, estimated(1e-2)) for starts in Starts),
    Row(KRYLOV, Starts.BOTH, LBFGS()),
    Row(KRYLOV, Starts.BOTH, LBFGS(), whole=True),
)
