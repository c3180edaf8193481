"""The plots of PSNR past the trained depth, and of errors against their bounds."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from ...analysis.over_seeds import past_depth
from .family_style import FamilyStyle
from .vega_lite import Spec, base, by_family, faded

SEVERAL = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161")
"""Of what is no family."""
LOWEST = 12
"""dB below the best of a task where a plot of PSNR ends: what falls further off the page tells enough."""
FEW = 8
"""Solvers that a plot has room to name."""


def depths_of(seen: pd.DataFrame, marks: Sequence[FamilyStyle]) -> dict[str, Spec]:
    """The plots of PSNR against multiples of the trained depth, by heading.

    Args:
        seen: that of ``frame.trajectories``; PSNR is averaged over seeds, and a line ends where one of them is
            missing or diverges.
        marks: of the families.
    """
    means = past_depth(seen)
    plots: dict[str, Spec] = {}
    for heading, part in means.groupby("heading", sort=False):
        known = part.dropna(subset=["psnr"])
        gone = list(dict.fromkeys(part.loc[part["said"].str.startswith("diverged"), "solver"]))
        if len(known):
            plots[str(heading)] = _depth(known, str(heading), marks, gone)
    return plots


def _depth(part: pd.DataFrame, heading: str, marks: Sequence[FamilyStyle], gone: Sequence[str]) -> Spec:
    rows = [
        {
            "solver": row["solver"],
            "family": row["family"],
            "multiple": int(row["multiple"]),
            "psnr": round(row["psnr"], 4),
            "PSNR": f"{row['psnr']:.2f} dB",
            "residual": f"{row['residual']:.1e}",
            "depth": f"{int(row['multiple'])} × as deep as trained",
        }
        for row in part.to_dict("records")
    ]
    top = float(part["psnr"].max())
    low = max(float(part["psnr"].min()) - 0.2, top - LOWEST)
    multiples = sorted({int(value) for value in part["multiple"]})
    named = _named(part, low, top)
    x = {
        "field": "multiple",
        "type": "quantitative",
        "title": "iterations, as multiples of the trained depth",
        "scale": {"type": "log", "nice": False, "padding": 12},
        "axis": {"values": multiples, "labelExpr": "format(datum.value, '~g') + ' ×'"},
    }
    y = {
        "field": "psnr",
        "type": "quantitative",
        "title": "PSNR (dB)",
        "scale": {"domain": [low, top + 0.05 * (top - low)], "zero": False},
        "axis": {"tickCount": 5},
    }
    where = {"x": x, "y": y}
    look = by_family(marks)
    fallen = sorted(set(part.loc[part["psnr"] < low, "solver"]))
    description = (
        f"{heading}: PSNR against iterations, as multiples of the trained depth, of {part['solver'].nunique()} "
        f"estimators, up to {top:.2f} dB."
        + (f" Off the plot below: {', '.join(fallen)}." if fallen else "")
        + (f" A line ends where a seed diverges: {', '.join(gone)}." if gone else "")
    )
    tooltip = [{"field": name, "type": "nominal"} for name in ("solver", "depth", "PSNR", "residual")]
    names = {
        "data": {"values": named},
        "mark": {
            "type": "text",
            "align": "right",
            "baseline": "bottom",
            "dx": -2,
            "dy": -6,
            "fontSize": 10.5,
        },
        "encoding": where | {"text": {"field": "name"}, "opacity": faded(1)},
    }
    return base(description, rows) | {
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 1.6, "clip": True},
                "encoding": where
                | {"detail": {"field": "solver"}, "stroke": look["stroke"], "opacity": faded(0.75)},
            },
            {
                "mark": {"type": "point", "size": 48, "strokeWidth": 1.3, "clip": True},
                "encoding": where | look | {"tooltip": tooltip},
            },
            *([names] if named else []),
        ]
    }


def _named(part: pd.DataFrame, low: float, top: float) -> list[dict[str, object]]:
    """Solvers named where they end or leave the plot, if there is room: of many those that end far below the best."""
    ends = dict(zip(part["solver"], part["psnr"], strict=True))  # of each solver the last
    places = part[part["psnr"] >= low].groupby("solver", sort=False).tail(1)
    worst = top - 0.3 * (top - low) if len(places) > FEW else math.inf
    named: list[dict[str, object]] = []
    taken: list[float] = []
    for row in places.sort_values("psnr").to_dict("records"):
        psnr = float(row["psnr"])
        if ends[row["solver"]] < worst and all(abs(psnr - other) > 0.09 * (top - low) for other in taken):
            taken.append(psnr)
            place = {"name": row["solver"], "family": row["family"], "multiple": int(row["multiple"])}
            named.append(place | {"psnr": psnr})
    return named


def bounds_of(rows: Sequence[Mapping[str, object]]) -> dict[str, Spec]:
    """The plots of the actual error against its bound over depth K, by map.

    Args:
        rows: objects with ``map``, ``R``, ``K``, ``error`` and ``bound``, as ``theory_checks`` writes them.
    """
    maps = dict.fromkeys(str(row["map"]) for row in rows)
    return {name: _bound([row for row in rows if str(row["map"]) == name], name) for name in maps}


def restarts_of(rows: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """The colour of each number of restarts R in the plots of ``bounds_of``."""
    values = sorted({int(str(row["R"])) for row in rows})
    return {str(value): SEVERAL[place % len(SEVERAL)] for place, value in enumerate(values)}


def _bound(rows: Sequence[Mapping[str, object]], name: str) -> Spec:
    colours = restarts_of(rows)
    long = [
        {
            "R": str(row["R"]),
            "K": row["K"],
            "side": side,
            "value": row[side],
            "at": f"K = {row['K']}, R = {row['R']}",
        }
        for row in rows
        for side in ("error", "bound")
    ]
    worst = max(float(str(row["error"])) / float(str(row["bound"])) for row in rows)
    x = {"field": "K", "type": "quantitative", "title": "recorded layers K", "axis": {"tickCount": 5}}
    y = {
        "field": "value",
        "type": "quantitative",
        "title": "relative to the exact gradient",
        "scale": {"type": "log", "domain": [1e-14, 1e3]},
        "axis": {"tickCount": 6, "format": "~e"},
    }
    return base(f"{name}: error / bound is at most {worst:.3g}.", long) | {
        "mark": {"type": "line", "strokeWidth": 1.8, "tooltip": True},
        "encoding": {
            "x": x,
            "y": y,
            "color": {
                "field": "R",
                "type": "nominal",
                "scale": {"domain": list(colours), "range": list(colours.values())},
                "legend": None,
            },
            "strokeDash": {
                "field": "side",
                "type": "nominal",
                "scale": {"domain": ["error", "bound"], "range": [[1, 0], [5, 4]]},
                "legend": None,
            },
            "tooltip": [
                {"field": "side", "type": "nominal"},
                {"field": "value", "type": "quantitative", "format": ".2e"},
                {"field": "at", "type": "nominal"},
            ],
        },
    }
