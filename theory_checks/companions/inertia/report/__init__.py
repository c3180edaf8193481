"""Tables and figures of the inertial deep inverse prior, made from what the experiments computed."""

# Their modules are imported when they are called: a command that draws nothing does not wait for matplotlib.
from __future__ import annotations

from typing import TYPE_CHECKING

from ..simulation import Setting

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def all_tables(setting: Setting) -> dict[str, pd.DataFrame]:
    """Every table, by the stem of its file."""
    from .tables import tables

    return tables(setting)


def all_figures(setting: Setting) -> dict[str, Figure]:
    """Every figure, by the stem of its file."""
    from .figures import figures

    return figures(setting)


__all__ = ["all_figures", "all_tables"]
