"""What to cite for a solver, a part of one, a peer or a prior, as BibTeX."""

from .entries import BY_KEY, ENTRIES
from .entry import Entry, to_bibtex
from .sources import SOURCES, CitedSource, named, sources_markdown, works

__all__ = [
    "BY_KEY",
    "ENTRIES",
    "SOURCES",
    "CitedSource",
    "Entry",
    "named",
    "sources_markdown",
    "to_bibtex",
    "works",
]
