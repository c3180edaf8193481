"""LE-MMSE: what a network of finite receptive field computes (arXiv 2601.10334)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.experiment_group import ExperimentGroup as Group
from . import (
    claim_2_1_identities,
    claim_2_2_limits,
    claim_2_3_brute_force,
    claim_2_4_orthogonality,
    claim_2_5_pythagoras,
    claim_2_6_match,
    claim_2_7_risks,
    claim_2_8_density,
)
from .mutants import MUTANTS
from .settings import PAPER, SMALL, Setting

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

EXPERIMENTS = (
    claim_2_1_identities.EXPERIMENT,
    claim_2_2_limits.EXPERIMENT,
    claim_2_3_brute_force.EXPERIMENT,
    claim_2_4_orthogonality.EXPERIMENT,
    claim_2_5_pythagoras.EXPERIMENT,
    claim_2_6_match.EXPERIMENT,
    claim_2_7_risks.EXPERIMENT,
    claim_2_8_density.EXPERIMENT,
)
"""By hand, in the order of the specification."""


def _tables(at: Setting) -> dict[str, pd.DataFrame]:
    from .tables import tables

    return tables(at)


def _figures(at: Setting) -> dict[str, Figure]:
    from .figures import figures

    return figures(at)


GROUP = Group(
    name="local-mmse",
    title="LE-MMSE: what a trained CNN computes (arXiv 2601.10334)",
    experiments=EXPERIMENTS,
    mutants=MUTANTS,
    small=SMALL,
    paper=PAPER,
    tables=_tables,
    figures=_figures,
)

__all__ = ["GROUP"]
