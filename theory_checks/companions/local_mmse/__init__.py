"""LE-MMSE, the best local equivariant estimator: what a trained CNN computes (arXiv 2601.10334)."""

from ...engine import ExperimentGroup
from .claims import EXPERIMENTS
from .mutants import MUTANTS
from .simulation import PAPER, SMALL, Setting


def _load_report():
    from .report import figures, tables

    return tables.tables, figures.figures


GROUP: ExperimentGroup[Setting] = ExperimentGroup(
    name="local-mmse",
    title="LE-MMSE: what a trained CNN computes (arXiv 2601.10334)",
    experiments=EXPERIMENTS,
    mutants=MUTANTS,
    small=SMALL,
    paper=PAPER,
    load_report=_load_report,
)

__all__ = ["GROUP", "Setting"]
