"""The deep inverse prior with inertia (arXiv 2506.02986): gradient flow with viscous and Hessian-driven damping."""

from ...engine import ExperimentGroup
from .claims import EXPERIMENTS
from .mutants import MUTANTS
from .simulation import PAPER, SMALL, Setting


def _load_report():
    from .report import figures, tables

    return tables.tables, figures.figures


GROUP: ExperimentGroup[Setting] = ExperimentGroup(
    name="inertia",
    title="Deep inverse prior with inertia (arXiv 2506.02986)",
    experiments=EXPERIMENTS,
    mutants=MUTANTS,
    small=SMALL,
    paper=PAPER,
    load_report=_load_report,
)

__all__ = ["GROUP", "Setting"]
