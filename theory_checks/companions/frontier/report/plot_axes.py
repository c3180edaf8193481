"""Axis styles that the plots of curves share."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator


def grid(ax: Axes) -> None:
    """Draw a faint grid, and no frame above and to the right."""
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)


def signed(value: float) -> str:
    """The value with two digits and a typographic minus sign."""
    return f"{value:.2f}".replace("-", "−")


def plain(ax: Axes, values: tuple[int, ...]) -> None:
    """Put ticks at ``values``, printed as plain numbers, on a logarithmic x axis."""
    ax.xaxis.set_major_locator(FixedLocator(values))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{v:g}" for v in values])
