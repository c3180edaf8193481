"""The fractal frontier of random networks (arXiv 2508.03222): order and chaos over (σ_w, σ_b), at finite size."""

from ...engine.experiment_group import ExperimentGroup as Group
from . import figures, tables
from .claim_3_1_slopes import EXPERIMENT as SLOPES
from .claim_3_2_finite_width import EXPERIMENT as FINITE_WIDTH
from .claim_3_3_crossing import EXPERIMENT as CROSSING
from .claim_3_4_dimension import EXPERIMENT as DIMENSION
from .claim_3_5_cut_off import EXPERIMENT as CUT_OFF
from .claim_3_6_numerics import EXPERIMENT as NUMERICS
from .claim_3_7_calibration import EXPERIMENT as CALIBRATION
from .claim_3_8_trade_off import EXPERIMENT as TRADE_OFF
from .claim_3_9_backward import EXPERIMENT as BACKWARD
from .mutants import MUTANTS
from .settings import PAPER, SMALL, Setting

GROUP: Group[Setting] = Group(
    name="frontier",
    title="Fractal frontier (arXiv 2508.03222)",
    experiments=(
        SLOPES,
        FINITE_WIDTH,
        CROSSING,
        DIMENSION,
        CUT_OFF,
        NUMERICS,
        CALIBRATION,
        TRADE_OFF,
        BACKWARD,
    ),
    mutants=MUTANTS,
    small=SMALL,
    paper=PAPER,
    tables=tables.tables,
    figures=figures.figures,
)

__all__ = ["GROUP"]
