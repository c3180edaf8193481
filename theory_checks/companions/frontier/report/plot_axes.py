"""What the axes of the curves have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def grid(ax: Axes) -> None:
    """Faint lines, and no frame above and to the right."""
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)


def signed(value: float) -> str:
    """Two digits, with a minus sign."""
    return f"{value:.2f}".replace("-", "−")


def plain(ax: Axes, values: tuple[int, ...]) -> None:
    """The values themselves as ticks of a logarithmic axis."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ax.xaxis.set_major_locator(FixedLocator(values))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticklabels([f"{v:g}" for v in values])
