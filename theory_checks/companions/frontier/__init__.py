"""The fractal frontier of random networks (arXiv 2508.03222): order and chaos over (σ_w, σ_b) at finite size."""

from ...engine import ExperimentGroup
from .claims import EXPERIMENTS
from .mutants import MUTANTS
from .report import all_figures, all_tables
from .simulation import PAPER, SMALL, Setting

GROUP: ExperimentGroup[Setting] = ExperimentGroup(
    name="frontier",
    title="Fractal frontier (arXiv 2508.03222)",
    experiments=EXPERIMENTS,
    mutants=MUTANTS,
    small=SMALL,
    paper=PAPER,
    tables=all_tables,
    figures=all_figures,
)

__all__ = ["GROUP", "Setting"]
