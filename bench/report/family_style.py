"""Colour and marker of each family of solvers, the same in figures and pages."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from solvers import ESTIMATORS

from ..config.call_syntax import ON, solver_of

SHAPES = {  # matplotlib's markers, and paths in the square from -1 to 1
    "o": "M-.9,0A.9,.9,0,1,1,.9,0A.9,.9,0,1,1,-.9,0Z",
    "s": "M-.8,-.8L.8,-.8L.8,.8L-.8,.8Z",
    "^": "M0,-.95L.95,.75L-.95,.75Z",
    "D": "M0,-1L1,0L0,1L-1,0Z",
    "P": "M-.35,-1L.35,-1L.35,-.35L1,-.35L1,.35L.35,.35L.35,1L-.35,1L-.35,.35L-1,.35L-1,-.35L-.35,-.35Z",
    "*": "M0,-1L.25,-.34L.95,-.31L.4,.13L.59,.81L0,.42L-.59,.81L-.4,.13L-.95,-.31L-.25,-.34Z",
    "X": "M-.95,-.5L-.5,-.95L0,-.45L.5,-.95L.95,-.5L.45,0L.95,.5L.5,.95L0,.45L-.5,.95L-.95,.5L-.45,0Z",
    "v": "M0,.95L.95,-.75L-.95,-.75Z",
    ">": "M.95,0L-.75,.95L-.75,-.95Z",
    "<": "M-.95,0L.75,.95L.75,-.95Z",
    "h": "M0,-1L.87,-.5L.87,.5L0,1L-.87,.5L-.87,-.5Z",
    "d": "M0,-1L.6,0L0,1L-.6,0Z",
    "p": "M0,-1L.95,-.31L.59,.81L-.59,.81L-.95,-.31Z",
}
COLOURS = 10
"""Number of different colours."""
OPERATORS = (">", "<", "h", "d", "p")
"""Markers of operators other than forward–backward, in the order in which they come."""


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
    """``count`` colours in hexadecimal that colour-blind readers can tell apart; they repeat after ``COLOURS``."""
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

    Estimators of the registry keep their place in the palette whatever else is in ``frame``. A family on another
    operator than forward–backward has the colour of its estimator, and the marker of the operator.
    """
    fixed = places()
    names = [str(name) for name in dict.fromkeys(frame["family"])]
    solvers = list(dict.fromkeys(map(solver_of, names)))
    solvers = [*(name for name in fixed if name in solvers), *(name for name in solvers if name not in fixed)]
    operators = list(dict.fromkeys(name.removeprefix(solver_of(name)) for name in names if ON in name))
    names.sort(key=lambda name: solvers.index(solver_of(name)))
    external = set(frame.loc[frame["peer"].astype(bool), "family"])
    markers = [marker for marker in SHAPES if marker not in OPERATORS]
    colours = palette(max(max(fixed.values()) + 1, len(solvers)))
    place = fixed | _free_places(
        [name for name in solvers if name not in fixed], fixed, solvers, len(colours)
    )
    styles = []
    for i, name in enumerate(names):
        solver = solver_of(name)
        operator = name.removeprefix(solver)
        mark = markers[place[solver] % len(markers)]
        if operator:
            mark = OPERATORS[operators.index(operator) % len(OPERATORS)]
        colour = colours[place[solver] % len(colours)]
        styles.append(FamilyStyle(f"mark-{i}", name, colour, mark, name in external))
    return {style.family: style for style in sorted(styles, key=lambda style: style.external)}


def _free_places(others: list[str], fixed: dict[str, int], shown: list[str], count: int) -> dict[str, int]:
    """Places for families that have none of their own: first those whose colour no family that is shown has."""
    distinct = min(count, COLOURS)
    taken = {fixed[name] % distinct for name in shown if name in fixed}
    free = [place for place in range(distinct) if place not in taken] or list(range(distinct))
    return {name: free[i % len(free)] + distinct * (i // len(free)) for i, name in enumerate(others)}
