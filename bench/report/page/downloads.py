"""Files of a report that lie beside its page, to be downloaded from there."""

from __future__ import annotations

from collections.abc import Iterable

from ..tables import slug


def downloads(
    headings: Iterable[str], plots: Iterable[str], pictured: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Paths relative to the page, by kind; ``report.render_report`` writes the files.

    Args:
        headings: of the tasks.
        plots: names of the plots of the run.
        pictured: headings with stored images.
    """
    pictures = [*plots, *(f"panels-{slug(heading)}" for heading in pictured)]
    return {
        "CSV": ("tables/cells.csv", "tables/summary.csv"),
        "Parquet": ("tables/cells.parquet", "tables/records.parquet"),
        "Markdown": ("tables/tables.md",),
        "LaTeX": tuple(f"tables/{slug(heading)}.tex" for heading in headings),
        "PNG": tuple(f"figures/{name}.png" for name in pictures),
    }
