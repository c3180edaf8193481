"""The companion theories: three results about learned solvers and networks, as experiments with verdicts."""

from typing import Any

from ..engine import ExperimentGroup
from .frontier import GROUP as FRONTIER
from .inertia import GROUP as INERTIA
from .local_mmse import GROUP as LOCAL_MMSE

GROUPS: tuple[ExperimentGroup[Any], ...] = (INERTIA, LOCAL_MMSE, FRONTIER)
"""By hand, in the order of the specification."""

__all__ = ["GROUPS"]
