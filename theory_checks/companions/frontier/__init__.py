"""The fractal frontier of random networks (arXiv 2508.03222): order and chaos over (σ_w, σ_b) at finite size."""

from ...engine import ExperimentGroup
from .claims import EXPERIMENTS
from .mutants import MUTANTS
from .simulation import PAPER, SMALL, Setting


def _load_report():
    from .report import figures, tables

    return tables.tables, figures.figures


GROUP: ExperimentGroup[Setting] = ExperimentGroup(
    name="frontier",
    title="Fractal frontier (arXiv 2508.03222)",
    experiments=EXPERIMENTS,
    mutants=MUTANTS,
    small=SMALL,
    paper=PAPER,
    load_report=_load_report,
)

__all__ = ["GROUP", "Setting"]
