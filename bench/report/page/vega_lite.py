"""What the Vega-Lite specifications of a page have in common; they are plain dictionaries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .family_style import FamilyStyle
from .render import VEGA_LITE

Spec = dict[str, object]


def base(description: str, rows: Sequence[Mapping[str, object]], height: int = 270) -> Spec:
    """What every plot has: it is as wide as its place on the page, and brings out a family when it is told to."""
    return {
        "$schema": f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE.partition('.')[0]}.json",
        "description": description,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "data": {"values": list(rows)},
        # The page's own legend sets it: the family to bring out, or nothing.
        "params": [{"name": "picked", "value": ""}],
    }


def by_family(marks: Sequence[FamilyStyle]) -> dict[str, object]:
    """Encodings of a family by colour, filling and shape; a peer's is hollow."""
    names = [mark.family for mark in marks]

    def scale(values: list[str]) -> dict[str, object]:
        return {
            "field": "family",
            "type": "nominal",
            "scale": {"domain": names, "range": values},
            "legend": None,
        }

    return {
        "stroke": scale([mark.colour for mark in marks]),
        "fill": scale(["transparent" if mark.peer else mark.colour for mark in marks]),
        "shape": scale([mark.path for mark in marks]),
        "opacity": faded(0.92),
    }


def faded(full: float) -> dict[str, object]:
    """The opacity of what belongs to a family: ``full``, and nearly none where another one is brought out."""
    return {"condition": {"test": "picked === '' || datum.family === picked", "value": full}, "value": 0.08}


def ticks(low: float, high: float) -> list[float]:
    """Places for the numbers of a logarithmic axis: powers of ten, at most seven; 1, 2, 5 where they are few."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / 7))
    if last - first >= 2:
        return [10.0**power for power in range(first, last + 1) if power % every == 0]
    parts = [part * 10.0**power for power in range(first - 1, last + 1) for part in (1, 2, 5)]
    inside = [value for value in parts if low * 0.99 <= value <= high * 1.01]
    return inside if len(inside) > 1 else [low, high]


def field(name: str) -> str:
    """A field whose name has dots or brackets in it, as Vega reads it."""
    for character in ".[]":
        name = name.replace(character, "\\" + character)
    return name
