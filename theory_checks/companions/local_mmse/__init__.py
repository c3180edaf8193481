"""LE-MMSE, the best local equivariant estimator: what a trained CNN computes (arXiv 2601.10334)."""

from ...engine import ExperimentGroup
from .claims import EXPERIMENTS
from .mutants import MUTANTS
from .report import all_figures, all_tables
from .simulation import PAPER, SMALL, Setting

GROUP: ExperimentGroup[Setting] = ExperimentGroup(
    name="local-mmse",
    title="LE-MMSE: what a trained CNN computes (arXiv 2601.10334)",
    experiments=EXPERIMENTS,
    mutants=MUTANTS,
    small=SMALL,
    paper=PAPER,
    tables=all_tables,
    figures=all_figures,
)

__all__ = ["GROUP", "Setting"]
