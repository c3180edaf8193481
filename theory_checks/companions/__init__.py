"""The companion theories: three results about learned solvers and networks, as experiments with verdicts."""

from typing import Any

from ..group import Group

GROUPS: tuple[Group[Any], ...] = ()
"""By hand, in the order of the specification."""

__all__ = ["GROUPS"]
