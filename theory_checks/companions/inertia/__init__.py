"""The deep inverse prior with inertia (arXiv 2506.02986): viscous and Hessian-driven damping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...engine.experiment_group import ExperimentGroup as Group
from . import (
    claim_1_1_oracle,
    claim_1_2_energy,
    claim_1_3_rates,
    claim_1_4_acceleration,
    claim_1_5_envelope,
    claim_1_6_certificate,
    claim_1_7_width,
    claim_1_8_discrete,
    claim_1_9_photograph,
    claim_1_9_recovery,
)
from .mutants import MUTANTS
from .settings import PAPER, SMALL, Setting

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def _tables(at: Setting) -> dict[str, pd.DataFrame]:
    from .tables import tables

    return tables(at)


def _figures(at: Setting) -> dict[str, Figure]:
    from .figures import figures

    return figures(at)


GROUP = Group(
    name="inertia",
    title="Deep inverse prior with inertia (arXiv 2506.02986)",
    experiments=(
        claim_1_1_oracle.EXPERIMENT,
        claim_1_2_energy.EXPERIMENT,
        claim_1_3_rates.EXPERIMENT,
        claim_1_4_acceleration.EXPERIMENT,
        claim_1_5_envelope.EXPERIMENT,
        claim_1_6_certificate.EXPERIMENT,
        claim_1_7_width.EXPERIMENT,
        claim_1_8_discrete.EXPERIMENT,
        claim_1_9_recovery.EXPERIMENT,
        claim_1_9_photograph.EXPERIMENT,
    ),
    mutants=MUTANTS,
    small=SMALL,
    paper=PAPER,
    tables=_tables,
    figures=_figures,
)
"""Claims 1.1 to 1.9."""

__all__ = ["GROUP", "Setting"]
