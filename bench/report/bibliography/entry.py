"""An entry of a bibliography, and how BibTeX wants it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal

ACCENTS = {"\u0301": "'", "\u0300": "`", "\u0308": '"', "\u0303": "~", "\u0302": "^"}
"""Combining characters, and the commands of LaTeX for them."""
NEURIPS = "Advances in Neural Information Processing Systems"
ICML = "International Conference on Machine Learning"
ICLR = "International Conference on Learning Representations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A work that can be cited. What is empty is not printed.

    Attributes:
        key: of ``\\cite``: first author, year, and a word where that is not enough.
        kind: BibTeX's; a preprint is ``misc``.
        author: names as ``Last, First``, joined by ``and``; accents as in Unicode.
        title: in LaTeX, capitals as they are to be printed.
        year, journal, booktitle, volume, number, pages, publisher, edition, doi, note: BibTeX's fields of these names.
        eprint: the number at arXiv.
    """

    key: str
    kind: Literal["article", "inproceedings", "book", "misc"]
    author: str
    title: str
    year: int
    journal: str = ""
    booktitle: str = ""
    volume: str = ""
    number: str = ""
    pages: str = ""
    publisher: str = ""
    edition: str = ""
    doi: str = ""
    eprint: str = ""
    note: str = ""

    def to_bibtex(self) -> str:
        """The entry as BibTeX, in ASCII."""
        lines = [f"@{self.kind}{{{self.key},"]
        for field in fields(self):
            value = str(getattr(self, field.name))
            if field.name in ("key", "kind") or not value:
                continue
            # Braces twice keep the capitals of a title whatever the style does.
            text = f"{{{_ascii(value)}}}" if field.name == "title" else _ascii(value)
            lines.append(f"  {field.name} = {{{text}}},")
        if self.eprint:
            lines.append("  archiveprefix = {arXiv},")
        return "\n".join([*lines, "}"]) + "\n"


def _ascii(text: str) -> str:
    """``é`` as ``{\\'e}``. Raises ``ValueError`` where there is no command for a character."""
    found = []
    for character in text:
        letter, *accents = unicodedata.normalize("NFD", character)
        if not letter.isascii() or len(accents) > 1 or not ACCENTS.keys() >= set(accents):
            raise ValueError(f"no LaTeX for {character!r} in {text!r}")
        found.append(f"{{\\{ACCENTS[accents[0]]}{letter}}}" if accents else letter)
    return "".join(found)


def to_bibtex(entries: Iterable[Entry]) -> str:
    """A ``.bib`` file: each entry once, sorted by key."""
    chosen = {entry.key: entry for entry in entries}
    return "\n".join(chosen[key].to_bibtex() for key in sorted(chosen))
