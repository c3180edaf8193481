"""Panels of a plot as Vega-Lite specifications; they are plain dictionaries."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
from __future__ import annotations

from typing import Any

import pandas as pd

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
    of_family = {"stroke": _by_family(styles, [style.colour for style in styles.values()])}
    dash = {"strokeDash": DASHES[layer.line]} if layer.line in DASHES else {}
    if layer.kind == "guides":
        rows = layer.rows.assign(order=range(len(layer.rows)))
        interpolate = "step-after" if layer.steps else "linear"
        mark = {"type": "line", "interpolate": interpolate, "style": "quiet", "aria": False}
        encoding = {"detail": {"field": "line"}, "order": {"field": "order", "type": "quantitative"}}
        line = _spec(rows, ["line", "order"], mark | dash, place | encoding)
        text = {
            "type": "text",
            "align": "right",
            "baseline": "bottom",
            "dy": -2,
            "style": "hint",
            "aria": False,
        }
        end = layer.rows.tail(1).assign(text=layer.label)
        return (
            [line, _spec(end, ["text"], text, place | {"text": {"field": "text"}})] if layer.label else [line]
        )
    if layer.kind == "lines":
        encoding = of_family | {"detail": {"field": "solver"}, "opacity": _faded(0.75)}
        mark = {"type": "line", "strokeWidth": 1.6, "clip": True}
        return [
            _spec(
                layer.rows,
                ["family", "solver", *layer.tooltip],
                mark | dash,
                place | encoding | _tooltip(layer),
            )
        ]
    if layer.kind == "rings":
        return [_spec(layer.rows, [], {"type": "point", "size": 330, "style": "ring", "aria": False}, place)]
    if layer.kind == "names":
        mark = {
            "type": "text",
            "align": "left",
            "baseline": "bottom",
            "dx": 7,
            "dy": -3,
            "fontSize": 10.5,
            "aria": False,
        }
        encoding = {"text": {"field": "name"}, "opacity": _faded(1)}
        return [_spec(layer.rows, ["family", "name"], mark, place | encoding)]
    hollow = {
        name: style.external if layer.fill == "family" else layer.fill == "hollow"
        for name, style in styles.items()
    }
    fills = ["transparent" if hollow[name] else style.colour for name, style in styles.items()]
    encoding = of_family | {
        "fill": _by_family(styles, fills),
        "shape": _by_family(styles, [style.path for style in styles.values()]),
        "opacity": _faded(0.92),
    }
    mark = {"type": "point", "size": 48 if layer.small else 95, "strokeWidth": 1.4, "clip": layer.small}
    return [_spec(layer.rows, ["family", "solver", *layer.tooltip], mark, place | encoding | _tooltip(layer))]


def _spec(rows: pd.DataFrame, columns: list[str], mark: Spec, encoding: Spec) -> Spec:
    values = rows[["x", "y", *columns]].to_dict("records")
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}


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


def _tooltip(layer: Layer) -> Spec:
    shown = [
        {"field": _escaped(name), "title": name, "type": "nominal"} for name in ("solver", *layer.tooltip)
    ]
    return {"tooltip": shown} if layer.tooltip else {}


def _escaped(field: str) -> str:
    """The name of a field with dots or brackets in it, as Vega reads it."""
    return field.translate({ord(character): f"\\{character}" for character in ".[]"})
