"""Works to cite for the names in labels, as BibTeX."""

from .entries import BY_KEY, ENTRIES, Entry, to_bibtex
from .sources import CitedSource, cited_by, cited_sources, sources_markdown, works

__all__ = [
    "BY_KEY",
    "ENTRIES",
    "CitedSource",
    "Entry",
    "cited_by",
    "cited_sources",
    "sources_markdown",
    "to_bibtex",
    "works",
]
