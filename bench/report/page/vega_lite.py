"""Panels of a plot as Vega-Lite specifications; they are plain dictionaries."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
from __future__ import annotations

from typing import Any

import pandas as pd

from ..family_style import is_hollow
from ..plot import Axis, Layer, Panel, Styles
from .render import VEGA_LITE

Spec = dict[str, Any]
HEIGHT = 270
LABELS = {
    "": "format(datum.value, '~g')",
    "×": "format(datum.value, '~g') + ' ×'",
    "²": "format(sqrt(datum.value), '~g') + '²'",
    "%": "datum.value >= 9e-5 ? format(100 * datum.value, '~g') + ' %' : format(datum.value, '.0e')",
}
"""``Axis.label`` as an expression of Vega, by unit."""
QUIET = {"aria": False}
"""Of marks that a screen reader passes over, and so does the pointer (``page.css``)."""
DASHES = {"dashed": [4, 4], "dotted": [1.5, 3]}


def to_vega(panel: Panel, styles: Styles) -> Spec:
    """A panel as wide as its place on the page; the page's legend sets ``picked``, the family to bring out."""
    place = {"x": _axis("x", panel.x), "y": _axis("y", panel.y)}
    return {
        "$schema": f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE.partition('.')[0]}.json",
        "description": panel.description,
        "width": "container",
        "height": HEIGHT,
        "autosize": {"type": "fit", "contains": "padding"},
        "params": [{"name": "picked", "value": ""}],
        "layer": [spec for layer in panel.layers if len(layer.rows) for spec in _layer(layer, place, styles)],
    }


def _layer(layer: Layer, place: Spec, styles: Styles) -> list[Spec]:
    rows, every = layer.rows, styles.values()
    dash = {"strokeDash": DASHES[layer.line]} if layer.line in DASHES else {}
    family = {"stroke": _by_family(styles, [style.colour for style in every])}
    tooltip = [{"field": _escaped(name), "title": name} for name in ("solver", *layer.tooltip)]
    columns = ["x", "y", "family", "solver", *layer.tooltip]
    match layer.kind:
        case "guides":
            interpolate = "step-after" if layer.steps else "linear"
            mark = QUIET | {"type": "line", "interpolate": interpolate, "style": "quiet"} | dash
            order = {"detail": {"field": "line"}, "order": {"field": "order", "type": "quantitative"}}
            line = _spec(
                rows.assign(order=range(len(rows))), ["x", "y", "line", "order"], mark, place | order
            )
            text = QUIET | {"type": "text", "align": "right", "baseline": "bottom", "dy": -2, "style": "hint"}
            end = rows.tail(1).assign(text=layer.label)
            label = _spec(end, ["x", "y", "text"], text, place | {"text": {"field": "text"}})
            return [line, label] if layer.label else [line]
        case "rings":
            return [_spec(rows, ["x", "y"], QUIET | {"type": "point", "size": 330, "style": "ring"}, place)]
        case "names":
            mark = QUIET | {
                "type": "text",
                "align": "left",
                "baseline": "bottom",
                "dx": 7,
                "dy": -3,
                "fontSize": 10.5,
            }
            text = {"text": {"field": "name"}, "opacity": _faded(1)}
            return [_spec(rows, ["x", "y", "family", "name"], mark, place | text)]
        case "lines":
            mark = {"type": "line", "strokeWidth": 1.6, "clip": True} | dash
            encoding = place | family | {"detail": {"field": "solver"}, "opacity": _faded(0.75)}
            return [_spec(rows, columns, mark, encoding)]
        case "points":
            fills = ["transparent" if is_hollow(style, layer.fill) else style.colour for style in every]
            look = {
                "fill": _by_family(styles, fills),
                "shape": _by_family(styles, [style.path for style in every]),
            }
            mark = {
                "type": "point",
                "size": 48 if layer.small else 95,
                "strokeWidth": 1.4,
                "clip": layer.small,
            }
            encoding = place | family | look | {"opacity": _faded(0.92), "tooltip": tooltip}
            return [_spec(rows, columns, mark, encoding)]


def _spec(rows: pd.DataFrame, columns: list[str], mark: Spec, encoding: Spec) -> Spec:
    return {"data": {"values": rows[columns].to_dict("records")}, "mark": mark, "encoding": encoding}


def _axis(field: str, axis: Axis) -> Spec:
    scale = {
        "type": "log" if axis.log else "linear",
        "domain": [axis.low, axis.high],
        "nice": False,
        "zero": False,
    }
    if axis.log:
        del scale["zero"]
    numbers = {"values": axis.ticks(), "labelExpr": LABELS[axis.unit]} if axis.ticks() else {"tickCount": 5}
    return {"field": field, "type": "quantitative", "title": axis.title, "scale": scale, "axis": numbers}


def _by_family(styles: Styles, values: list[str]) -> Spec:
    scale = {"domain": [*styles], "range": values}
    return {"field": "family", "type": "nominal", "scale": scale, "legend": None}


def _faded(full: float) -> Spec:
    """The opacity ``full``, and nearly none for other families while one is picked."""
    return {"condition": {"test": "picked === '' || datum.family === picked", "value": full}, "value": 0.08}


def _escaped(field: str) -> str:
    """The name of a field with dots or brackets in it, as Vega reads it."""
    return field.translate({ord(character): f"\\{character}" for character in ".[]"})
