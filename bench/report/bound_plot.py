"""The plot of the error of restarted JFB against its bound."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportCallIssue=false
from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from .family_style import FamilyStyle, palette
from .plot import Axis, Layer, Panel, Plot, wrapped


def error_against_bound(points: Sequence[Mapping[str, object]]) -> Plot:
    """The error of restarted JFB (solid) and its bound (dashed) over the recorded layers K, a panel a map.

    Args:
        points: objects with ``map``, ``R``, ``K``, ``error`` and ``bound``, as ``theory_checks`` writes them.
    """
    frame = pd.DataFrame([*points], columns=["map", "R", "K", "error", "bound"])
    restarts = sorted(frame["R"].unique())
    colours = zip(restarts, palette(len(restarts)), strict=True)
    styles = {f"{R}": FamilyStyle("", f"R = {R}", colour, "") for R, colour in colours}
    panels = (_bound_panel(str(name), rows) for name, rows in frame.groupby("map", sort=False))
    return Plot("error-against-bound", wrapped(panels, 4), styles, size=(3.6, 3.5))


def _bound_panel(name: str, rows: pd.DataFrame) -> Panel:
    rows = rows.assign(family=rows["R"].astype(str), solver=rows["R"].astype(str), x=rows["K"].astype(float))
    x = Axis("recorded layers K", 0, float(rows["K"].max()) + 1, log=False)
    y = Axis("relative to the exact gradient", 1e-15, 1e3)
    lines = (("error", "solid"), ("bound", "dashed"))
    layers = tuple(
        Layer("lines", rows.assign(y=rows[side].astype(float)), line=line, legend=side)
        for side, line in lines
    )
    worst = float((rows["error"] / rows["bound"]).max())
    return Panel(name, x, y, layers, f"{name}: error / bound is at most {worst:.3g}.")
