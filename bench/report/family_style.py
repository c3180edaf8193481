"""Colour and marker of each family of solvers, the same in figures and pages."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from solvers import ESTIMATORS

SHAPES = {  # matplotlib's markers, and paths in the square from -1 to 1
    "o": "M-.9,0A.9,.9,0,1,1,.9,0A.9,.9,0,1,1,-.9,0Z",
    "s": "M-.8,-.8L.8,-.8L.8,.8L-.8,.8Z",
    "^": "M0,-.95L.95,.75L-.95,.75Z",
    "D": "M0,-1L1,0L0,1L-1,0Z",
    "P": "M-.35,-1L.35,-1L.35,-.35L1,-.35L1,.35L.35,.35L.35,1L-.35,1L-.35,.35L-1,.35L-1,-.35L-.35,-.35Z",
    "*": "M0,-1L.25,-.34L.95,-.31L.4,.13L.59,.81L0,.42L-.59,.81L-.4,.13L-.95,-.31L-.25,-.34Z",
    "X": "M-.95,-.5L-.5,-.95L0,-.45L.5,-.95L.95,-.5L.45,0L.95,.5L.5,.95L0,.45L-.5,.95L-.95,.5L-.45,0Z",
    "v": "M0,.95L.95,-.75L-.95,-.75Z",
}


@dataclass(frozen=True, slots=True)
class FamilyStyle:
    """How a family is drawn.

    Attributes:
        id: of its symbol in a page.
        family: its name.
        colour: in hexadecimal.
        marker: matplotlib's.
        external: whether it belongs to another library; its marker is hollow then.
    """

    id: str
    family: str
    colour: str
    marker: str
    external: bool = False

    @property
    def path(self) -> str:
        """The marker as an SVG path in the square from -1 to 1."""
        return SHAPES[self.marker]


Fill = Literal["family", "filled", "hollow"]


def is_hollow(style: FamilyStyle, fill: Fill) -> bool:
    """Whether a marker is hollow; ``family`` leaves those of other libraries hollow."""
    return style.external if fill == "family" else fill == "hollow"


def palette(count: int) -> list[str]:
    """``count`` colours in hexadecimal that colour-blind readers can tell apart; they repeat after ten."""
    from seaborn import color_palette  # here, because importing it takes a second

    return list(color_palette("colorblind", count).as_hex())


def places() -> dict[str, int]:
    """Place of each estimator of the registry in the palette, in its order."""
    fixed = {name: spec.colour for name, spec in ESTIMATORS.items() if spec.colour is not None}
    others = (name for name in ESTIMATORS if name not in fixed)
    after = max(fixed.values(), default=-1) + 1
    chosen = fixed | {name: place for place, name in enumerate(others, start=after)}
    return dict(sorted(chosen.items(), key=lambda item: item[1]))


def family_styles(frame: pd.DataFrame) -> dict[str, FamilyStyle]:
    """Styles by family for the rows of ``frame`` (columns ``family`` and ``peer``), external families last.

    Estimators of the registry keep their place in the palette whatever else is in ``frame``.
    """
    fixed = places()
    names = list(dict.fromkeys(frame["family"]))
    names = [*(name for name in fixed if name in names), *(name for name in names if name not in fixed)]
    external = set(frame.loc[frame["peer"].astype(bool), "family"])
    first = max(fixed.values()) + 1
    colours, markers = palette(max(first, len(names))), list(SHAPES)
    styles = []
    for i, name in enumerate(names):
        place = fixed.get(name, first + i)
        colour, marker = colours[place % len(colours)], markers[place % len(markers)]
        styles.append(FamilyStyle(f"mark-{i}", str(name), colour, marker, name in external))
    return {style.family: style for style in sorted(styles, key=lambda style: style.external)}
