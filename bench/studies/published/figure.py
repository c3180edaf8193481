"""Error of the gradient against products, a panel a regulariser."""

# The stubs of pandas and matplotlib know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false
from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...report.figure_style import facets, looks_of, number_log

WITHIN = 0.01
"""An error that is marked."""


def published_figure(gradients: pd.DataFrame) -> Figure:
    """A mark for each row, weight file and seed; tolerances of one family are joined.

    Hollow marks belong to others' solvers.

    Args:
        gradients: of ``gradient_frame``.
    """
    names = list(gradients["regulariser"].unique())
    looks = looks_of(gradients)
    figure, axes = facets(len(names))
    for ax, name in zip(axes, names, strict=True):
        panel = gradients[gradients["regulariser"] == name]
        symmetric = panel["estimator"].str.contains("symmetric=True")  # no tolerance of the same solver
        keys = [panel["family"], symmetric, panel["weights"], panel["seed"]]
        for (family, *_), part in panel.groupby(keys, sort=False):
            part = part.sort_values("products")
            look = looks[family]
            look = look | {"ms": 0.75 * look["ms"]}
            ax.plot(part["products"], part["error"], lw=0.8, alpha=0.8, **look)
        ax.axhline(WITHIN, color="0.75", lw=0.8, zorder=0)
        place = ax.get_yaxis_transform()
        ax.text(1.01, WITHIN, f"{100 * WITHIN:g} %", transform=place, va="center", color="0.5", fontsize=7)
        ax.set(xscale="log", yscale="log", title=name, xlabel="applications + VJPs")
        ax.grid(alpha=0.3)
    low = min(ax.get_ylim()[0] for ax in axes)
    high = max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(low, high)
        number_log(ax.xaxis)
    axes[0].set_ylabel("relative error of the gradient")
    handles = [Line2D([], [], ls="", label=family, **look) for family, look in looks.items()]
    figure.tight_layout()
    figure.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    return figure
