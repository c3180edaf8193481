"""The entries of ``references.bib``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bibtexparser.entrypoint import parse_file
from bibtexparser.middlewares import LatexDecodingMiddleware

FILE = Path(__file__).with_name("references.bib")


@dataclass(frozen=True, slots=True)
class Entry:
    """A work that can be cited.

    Attributes:
        key: first author, year, and a word of the title.
        kind: type of the entry; a preprint is ``misc``.
        fields: BibTeX fields by name, in Unicode.
        bibtex: the entry as BibTeX, in ASCII.
    """

    key: str
    kind: str
    fields: Mapping[str, str]
    bibtex: str

    @property
    def author(self) -> str:
        """Names as ``Last, First``, joined by ``and``."""
        return self.fields["author"]

    @property
    def eprint(self) -> str:
        """Number at arXiv; empty if none."""
        return self.fields.get("eprint", "")


def _read(file: Path) -> tuple[Entry, ...]:
    library = parse_file(str(file), append_middleware=[LatexDecodingMiddleware()])
    if library.failed_blocks:
        raise ValueError(f"{file}: {library.failed_blocks[0].error}")
    return tuple(
        Entry(e.key, e.entry_type, {name: str(f.value) for name, f in e.fields_dict.items()}, str(e.raw))
        for e in library.entries
    )


ENTRIES = _read(FILE)
BY_KEY = {entry.key: entry for entry in ENTRIES}


def to_bibtex(entries: Iterable[Entry]) -> str:
    """A ``.bib`` file of the entries, each once, sorted by key."""
    keys = sorted({entry.key for entry in entries})
    return "\n\n".join(BY_KEY[key].bibtex for key in keys) + "\n" * bool(keys)
