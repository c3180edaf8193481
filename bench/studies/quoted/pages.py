"""The mechanism: tables between marks, numbers in the slots of a sentence, and sentences that must be true."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TypeVar

from ...utils.atomic_files import write_atomically
from ...utils.provenance import ROOT
from .blocks import BLOCKS
from .prose import CLAIMS, QUOTES
from .quote import Quote

BLOCK = re.compile(
    r"(<!-- quoted: ([\w-]+), by python -m bench\.studies\.quoted -->\n)(.*?)(<!-- end of the quote -->)",
    re.S,
)
SLOT = "{}"
T = TypeVar("T")


NUMBER = r"((?:<\s)?[^\s`|]*[^\s`|,.;:)](?:\s(?:%|dB))?)"
"""A slot: a word or a number, with its unit."""
CODE = r"([^`]+)"
"""A slot in code."""


def pattern(text: str) -> re.Pattern[str]:
    """What finds a sentence in a page, however its lines are broken; a group a slot."""
    first, *others = text.split(SLOT)
    found, before = r"(?<!\w)" + _spaced(first), first
    for piece in others:
        found += (CODE if before.endswith("`") else NUMBER) + _spaced(piece)
        before = piece
    return re.compile(found)


def _spaced(piece: str) -> str:
    return r"\s+".join(map(re.escape, piece.split(" ")))


def rewritten(page: str, text: str) -> str:
    """A page as it should be. Raises ``LookupError`` for a sentence or a mark that is not there, or is there twice."""

    def filled(found: re.Match[str]) -> str:
        return f"{found[1]}\n{_made(BLOCKS[found[2]])}\n\n{found[4]}"

    text = BLOCK.sub(filled, text)
    for quote in QUOTES:
        if quote.page == page:
            text = _filled(quote, text)
    return text


@functools.cache
def _made(make: Callable[[], T]) -> T:
    """What it makes, once: committed records do not change while a process runs."""
    return make()


def _filled(quote: Quote, text: str) -> str:
    found = _only(quote.page, quote.text, text)
    values = list(_made(quote.values))
    if len(values) != len(found.groups()):
        raise LookupError(
            f"{quote.page}: {len(values)} numbers for {len(found.groups())} slots of “{quote.text}”"
        )
    for place in range(len(values), 0, -1):
        start, end = found.span(place)
        if found[place].split() != values[place - 1].split():
            text = text[:start] + values[place - 1] + text[end:]
    return text


def _only(page: str, sentence: str, text: str) -> re.Match[str]:
    matches = list(pattern(sentence).finditer(text))
    if len(matches) != 1:
        raise LookupError(f"{page}: “{sentence}” stands there {len(matches)} times")
    return matches[0]


@functools.cache
def quoting() -> tuple[str, ...]:
    """The pages that quote something."""
    return tuple(dict.fromkeys(["README.md", *(q.page for q in QUOTES), *(c.page for c in CLAIMS)]))


def problems() -> list[str]:
    """What differs from the records, a line each; empty where nothing does."""
    found: list[str] = []
    for page in quoting():
        text = (ROOT / page).read_text(encoding="utf-8")
        try:
            made = rewritten(page, text)
        except LookupError as error:
            found.append(str(error))
            continue
        pairs = zip(text.splitlines(), made.splitlines(), strict=False)
        found += [
            f"{page}: “{old}” should be “{new}”: python -m bench.studies.quoted"
            for old, new in pairs
            if old != new
        ]
        found += (
            []
            if len(text.splitlines()) == len(made.splitlines())
            else [f"{page}: a table has other rows now"]
        )
    for claim in CLAIMS:
        text = (ROOT / claim.page).read_text(encoding="utf-8")
        try:
            _only(claim.page, claim.text, text)
        except LookupError as error:
            found.append(str(error))
        if not claim.holds():
            found.append(f"{claim.page}: the records do not bear out “{claim.text}”")
    return found


def write_quoted_pages() -> list[str]:
    """Write the pages that differ; their names."""
    written: list[str] = []
    for page in quoting():
        text = (ROOT / page).read_text(encoding="utf-8")
        made = rewritten(page, text)
        if made != text:
            write_atomically(ROOT / page, made)
            written.append(page)
    return written
