"""A row of the table: an operator, an estimator and an optimiser."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass

from solvers import Solver
from solvers.optimisers import Optimiser

from ...external import ExternalSolver
from ...operators import Splitting


@dataclass(frozen=True, slots=True)
class Row:
    """One way to learn.

    Attributes:
        source: whose way it is.
        splitting: makes the operator; its equilibrium must be that of forward–backward.
        solver: estimates the gradient.
        optimiser: takes the steps.
        warm: each solve starts at the solution of the one before.
        steps: largest number of steps.
        products: products after which no further step begins.
    """

    source: str
    splitting: Splitting
    solver: Solver | ExternalSolver
    optimiser: Optimiser
    warm: bool
    steps: int = 60
    products: float = 6000

    @property
    def label(self) -> str:
        """What tables and ``--only`` know it by."""
        start = "warm" if self.warm else "cold"
        return f"{self.splitting.label} · {self.estimator} · {self.method} · {start}"

    @property
    def method(self) -> str:
        """The call of the optimiser, without its defaults."""
        optimiser = self.optimiser
        assert is_dataclass(optimiser)
        changed = [f for f in fields(optimiser) if getattr(optimiser, f.name) != f.default]
        arguments = ", ".join(f"{f.name}={_text(getattr(optimiser, f.name))}" for f in changed)
        return type(optimiser).__name__ + (f"({arguments})" if arguments else "")

    @property
    def estimator(self) -> str:
        """The call of the solver; of another library's, its budgets alone."""
        label = self.solver.label
        return (
            label if isinstance(self.solver, Solver) or "=" not in label else label.split(", ", 2)[0] + ", …)"
        )

    @property
    def identity(self) -> str:
        """Everything that decides its numbers."""
        return repr(
            (self.splitting, self.solver.composition, self.optimiser, self.warm, self.steps, self.products)
        )


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_text, value)) + ")"  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    return value.label if isinstance(value, Solver) else repr(value)
