"""The marks of the families: a colour and a shape each, as in the figures."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ..figure_style import style_of

STAR = "M0,-1L.25,-.34L.95,-.31L.4,.13L.59,.81L0,.42L-.59,.81L-.4,.13L-.95,-.31L-.25,-.34Z"
SHAPES = {  # matplotlib's marker -> a path in the square from -1 to 1
    "o": "M-.9,0A.9,.9,0,1,1,.9,0A.9,.9,0,1,1,-.9,0Z",
    "s": "M-.8,-.8L.8,-.8L.8,.8L-.8,.8Z",
    "^": "M0,-.95L.95,.75L-.95,.75Z",
    "D": "M0,-1L1,0L0,1L-1,0Z",
    "P": "M-.35,-1L.35,-1L.35,-.35L1,-.35L1,.35L.35,.35L.35,1L-.35,1L-.35,.35L-1,.35L-1,-.35L-.35,-.35Z",
    "*": STAR,
    "X": "M-.95,-.5L-.5,-.95L0,-.45L.5,-.95L.95,-.5L.45,0L.95,.5L.5,.95L0,.45L-.5,.95L-.95,.5L-.45,0Z",
    "v": "M0,.95L.95,-.75L-.95,-.75Z",
}


@dataclass(frozen=True, slots=True)
class FamilyStyle:
    """How a family is drawn, here as in the figures.

    Attributes:
        id: of its symbol in the page.
        family: its name.
        colour: in hexadecimal.
        path: its shape in the square from -1 to 1.
        peer: it is another library's, and its shape is hollow.
    """

    id: str
    family: str
    colour: str
    path: str
    peer: bool


def marks(frame: pd.DataFrame) -> list[FamilyStyle]:
    """The families of ``frame``, ours before peers."""
    style = style_of(frame)
    peers = {str(f) for f in frame.loc[frame["peer"], "family"]}
    drawn = zip(style["hue_order"], style["palette"], style["markers"], strict=True)
    found = [
        FamilyStyle(f"mark-{place}", str(name), _hex(colour), SHAPES[shape], name in peers)
        for place, (name, colour, shape) in enumerate(drawn)
    ]
    return [mark for mark in found if not mark.peer] + [mark for mark in found if mark.peer]


def _hex(colour: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)
