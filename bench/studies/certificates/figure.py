"""The figure of bounds against actual errors, one panel for proven bounds and one for estimates."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false, reportOperatorIssue=false
from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from ...config.call_syntax import family
from ...measurement.hypergradient import TOLERANCE
from ...report.figure_style import looks_of
from .tables import judged

TITLES = {"rigorous": "rigorous", "estimates": "estimates, constants hidden"}


def bound_against_error(trials: pd.DataFrame) -> Figure:
    """Relative bounds against relative errors, log–log; points below the diagonal are violations.

    Markers are filled for audits and hollow for plain certificates. Errors below that of the reference are left out.
    """
    points = judged(trials)
    points = points[points["ranked"] & np.isfinite(points["bound"])]
    points = points.assign(family=points["solver"].map(family), peer=False)
    looks = looks_of(points)
    parts = [part for part in TITLES if (points["part"] == part).any()]
    figure, axes = plt.subplots(
        1, len(parts), figsize=(5.2 * len(parts), 4.6), squeeze=False, sharex=True, sharey=True
    )
    for ax, part in zip(axes.flat, parts, strict=True):
        rows = points[points["part"] == part]
        # Audits last: they lie along the diagonal, where plain certificates would hide them.
        for way in ("plain", "audit"):
            for name, look in looks.items():
                chosen = rows[(rows["family"] == name) & (rows["way"] == way)]
                style = look | {"ms": 5 if look["marker"] == "*" else 3.6, "mew": 0.6}
                style |= (
                    {"mfc": "none", "mec": look["color"], "alpha": 0.45} if way == "plain" else {"mew": 0.2}
                )
                ax.plot(chosen["error"] / chosen["exact"], chosen["bound"] / chosen["exact"], ls="", **style)
        ax.axline((TOLERANCE, TOLERANCE), (1, 1), color="0.3", lw=1, zorder=0)
        ax.set(xscale="log", yscale="log", xlabel="actual relative error", title=TITLES[part])
        ax.set_xlim(left=TOLERANCE)
        ax.xaxis.set_minor_locator(LogLocator(subs=[]))
        ax.yaxis.set_minor_locator(LogLocator(subs=[]))
        ax.grid(alpha=0.3)
    axes[0, 0].set_ylabel("bound, over the norm of the exact gradient")
    handles = [Line2D([], [], ls="", label=name, **look) for name, look in looks.items()]
    grey = {"ls": "", "marker": "o", "color": "0.4", "ms": 6}
    handles += [
        Line2D([], [], label="audit", **grey),
        Line2D([], [], label="plain", mfc="none", **grey),
        Line2D([], [], label="bound = error", color="0.3", lw=1),
    ]
    figure.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.tight_layout()
    return figure
