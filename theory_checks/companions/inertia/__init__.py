"""The deep inverse prior with inertia (arXiv 2506.02986): gradient flow with viscous and Hessian-driven damping."""

from ...engine import ExperimentGroup
from .claims import EXPERIMENTS
from .mutants import MUTANTS
from .report import all_figures, all_tables
from .simulation import PAPER, SMALL, Setting

GROUP: ExperimentGroup[Setting] = ExperimentGroup(
    name="inertia",
    title="Deep inverse prior with inertia (arXiv 2506.02986)",
    experiments=EXPERIMENTS,
    mutants=MUTANTS,
    small=SMALL,
    paper=PAPER,
    tables=all_tables,
    figures=all_figures,
)

__all__ = ["GROUP", "Setting"]
