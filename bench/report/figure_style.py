"""What every figure has in common: marks of families, numbers on axes, and files of the same bytes."""

# The stubs of pandas and matplotlib know neither the types of columns nor those of arguments.
# pyright: reportArgumentType=false
from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ..utils.atomic_files import write_atomically
from .family_style import FamilyStyle, Fill, family_styles, is_hollow

METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}
RC = {"font.size": 9, "axes.titlesize": 10}
"""Settings while a figure is drawn."""
MARGIN = 0.1
"""Inches around a figure."""
FILES = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "eqgrad"}
"""Settings while a file is written: TrueType in a PDF, where publishers refuse Type 3, and text in an SVG."""


def number_log(axis: XAxis | YAxis) -> None:
    """Number a logarithmic axis with final limits, also where it spans less than a power of ten."""
    low, high = axis.get_view_interval()
    axis.set_minor_formatter(NullFormatter())
    if high / low < 40:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 4 else MaxNLocator(4))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def facets(count: int, height: float = 3.9) -> tuple[Figure, np.ndarray]:
    """``count`` axes, three a row."""
    columns = min(count, 3)
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.4 * columns, height * rows), squeeze=False)
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    return figure, axes.flat[:count]


def look_of(style: FamilyStyle, fill: Fill = "family", small: bool = False) -> dict[str, Any]:
    """The arguments of ``Axes.plot`` for the marks of a family."""
    hollow = is_hollow(style, fill)
    return {
        "color": style.colour,
        "marker": style.marker,
        "mfc": "none" if hollow else style.colour,
        "mec": style.colour if hollow else "white",
        "mew": 1.3 if hollow else 0.3,
        "ms": (7 if small else 11) if style.marker == "*" else (4.5 if small else 7.5),
    }


def looks_of(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """``look_of`` each family of ``frame``."""
    return {family: look_of(style) for family, style in family_styles(frame).items()}


@mpl.rc_context(FILES)
def figure_files(figure: Figure, name: str) -> dict[str, bytes]:
    """A figure as PNG, PDF and SVG, by file name; it is closed. The same figure gives the same bytes."""
    # Laid out once: every "tight" would draw the figure once more.
    figure.draw_without_rendering()
    # None, and not "none", which keeps a place for an engine: every file would be drawn twice for its sake.
    figure.set_layout_engine(None)
    box = figure.get_tightbbox().padded(MARGIN)
    files = {}
    for suffix, metadata in METADATA.items():
        stream = io.BytesIO()
        figure.savefig(stream, format=suffix, dpi=150, bbox_inches=box, metadata=metadata)
        files[f"{name}.{suffix}"] = stream.getvalue()
    plt.close(figure)
    return files


def save_figure(figure: Figure, name: str, folder: Path) -> list[Path]:
    """Write the files of ``figure_files`` into a folder.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    files = figure_files(figure, name)
    for file, content in files.items():
        write_atomically(folder / file, content)
    return [folder / file for file in files]
