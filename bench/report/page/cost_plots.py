"""The plots of the error of a gradient against what it costs."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false
from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from ...analysis.pareto import COSTS, CostAxis, front, points
from ...config.call_syntax import arguments
from .family_style import FamilyStyle
from .vega_lite import Spec, base, by_family, faded, field, ticks

SHORT = 18
"""Characters of arguments that stand beside a point."""
PERCENT = "datum.value >= 9e-5 ? format(100 * datum.value, '~g') + ' %' : format(datum.value, '.0e')"


def steps(ahead: pd.DataFrame) -> set[str]:
    """The solvers of a front that are worth a name: each with at most half the error of the last that was named."""
    named, last = [], math.inf
    for row in ahead.itertuples():
        if row.error <= last / 2:
            named.append(str(row.solver))
            last = row.error
    return set(named)


def error_cost_spec(part: pd.DataFrame, heading: str, cost: CostAxis, marks: Sequence[FamilyStyle]) -> Spec:
    """Relative error of the gradient against one cost, with the front that nothing beats.

    Args:
        part: rows of ``pareto.points`` of one heading.
        heading: of the task, for its description.
        cost: on the abscissa.
        marks: of the families.
    """
    known = part[part[cost.name].notna()]
    best = front(known, cost.name)
    ahead = set(best["solver"])
    named = {solver for solver in steps(best) if len(arguments(solver)) <= SHORT}
    rows = [
        {
            "solver": row["solver"],
            "family": row["family"],
            "x": row[cost.name],
            "error": row["error"],
            "name": arguments(row["solver"]),
            "front": row["solver"] in ahead,
            "named": row["solver"] in named,
            "gradient error": f"{100 * row['error']:.3g} %",
            **{c.title: c.show(row[c.name]) for c in COSTS if not math.isnan(row[c.name])},
        }
        for row in known.to_dict("records")
    ]
    shown = ["solver", "gradient error", *(c.title for c in COSTS if known[c.name].notna().any())]
    x = {
        "field": "x",
        "type": "quantitative",
        "title": cost.title,
        "scale": {"type": "log", "nice": False, "padding": 24},
        "axis": {"values": ticks(known[cost.name].min(), known[cost.name].max()), "format": "~g"},
    }
    y = {
        "field": "error",
        "type": "quantitative",
        "title": "error of the gradient",
        "scale": {"type": "log", "nice": False, "padding": 14},
        "axis": {"values": ticks(known["error"].min(), known["error"].max()), "labelExpr": PERCENT},
    }
    where = {"x": x, "y": y}
    ahead_only = {"filter": "datum.front"}
    description = (
        f"{heading}: error of the gradient against {cost.title}, both logarithmic, of {len(rows)} estimators. "
        f"On the front, from cheap to exact: {', '.join(best['solver'])}."
    )
    names = {
        "transform": [{"filter": "datum.named"}],
        "mark": {
            "type": "text",
            "align": "left",
            "baseline": "bottom",
            "dx": 7,
            "dy": -4,
            "fontSize": 10.5,
        },
        "encoding": where | {"text": {"field": "name"}, "opacity": faded(1)},
    }
    return base(description, rows) | {
        "layer": [
            {
                "data": {"values": [{"level": 0.01}]},
                "mark": {"type": "rule", "strokeDash": [4, 4], "style": "quiet"},
                "encoding": {"y": {"field": "level", "type": "quantitative"}},
            },
            {
                "transform": [ahead_only],
                "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5, "style": "quiet"},
                "encoding": where | {"order": {"field": "x", "type": "quantitative"}},
            },
            {
                "mark": {"type": "point", "size": 95, "strokeWidth": 1.6},
                "encoding": where
                | by_family(marks)
                | {"tooltip": [{"field": field(name), "title": name, "type": "nominal"} for name in shown]},
            },
            *([names] if named else []),
        ]
    }


def costs_of(frame: pd.DataFrame, marks: Sequence[FamilyStyle]) -> dict[str, dict[str, Spec]]:
    """The plots of error against cost: by heading, then by the name of the cost."""
    found = points(frame)
    plots: dict[str, dict[str, Spec]] = {}
    for heading, part in found.groupby("heading", sort=False):
        plots[str(heading)] = {
            cost.name: error_cost_spec(part, str(heading), cost, marks)
            for cost in COSTS
            if part[cost.name].notna().any()
        }
    return plots
