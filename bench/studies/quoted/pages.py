"""Write the tables between two comments and the numbers in the slots of a sentence, and check sentences."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

from ...utils.atomic_files import write_atomically
from ...utils.provenance import ROOT
from .blocks import BLOCKS
from .prose import CLAIMS, QUOTES, Quote

BLOCK = re.compile(
    r"(<!-- quoted: ([\w-]+), by python -m bench\.studies\.quoted -->\n)(.*?)(<!-- end of the quote -->)",
    re.S,
)
SLOT = "{}"
NUMBER = r"((?:<\s)?[^\s`|]*[^\s`|,.;:)](?:\s(?:%|dB))?)"
"""Pattern of a slot: a word or a number, with its unit."""
CODE = r"([^`]+)"
"""Pattern of a slot in backticks."""


def pattern(text: str) -> re.Pattern[str]:
    """The pattern of a sentence, with a group for each slot; a space matches a line break too."""
    pieces = [r"\s+".join(map(re.escape, piece.split(" "))) for piece in text.split(SLOT)]
    slots = [CODE if piece.endswith("`") else NUMBER for piece in pieces[:-1]]
    return re.compile(r"(?<!\w)" + "".join(map("".join, itertools.zip_longest(pieces, slots, fillvalue=""))))


@functools.cache
def _computed(values: Callable[[], Any]) -> Any:
    """The values of a table or a sentence, once: committed records do not change while a process runs."""
    return values()


def rewritten(page: str, text: str) -> str:
    """A page with the numbers of the references.

    Raises:
        LookupError: a sentence is missing or occurs twice, or has another number of slots than values.
    """
    text = BLOCK.sub(lambda block: f"{block[1]}\n{_computed(BLOCKS[block[2]])}\n\n{block[4]}", text)
    for quote in QUOTES:
        if quote.page == page:
            text = _filled(quote, text)
    return text


def _filled(quote: Quote, text: str) -> str:
    sentence = _only(quote.page, quote.text, text)
    values = list(_computed(quote.values))
    if len(values) != len(sentence.groups()):
        raise LookupError(
            f"{quote.page}: {len(values)} numbers for {len(sentence.groups())} slots of “{quote.text}”"
        )
    # From the last slot to the first, so that the positions of the others stay right.
    for slot in range(len(values), 0, -1):
        start, end = sentence.span(slot)
        if sentence[slot].split() != values[slot - 1].split():
            text = text[:start] + values[slot - 1] + text[end:]
    return text


def _only(page: str, sentence: str, text: str) -> re.Match[str]:
    matches = list(pattern(sentence).finditer(text))
    if len(matches) != 1:
        raise LookupError(f"{page}: “{sentence}” stands there {len(matches)} times")
    return matches[0]


def _pages() -> Iterator[tuple[str, str]]:
    """Path and text of each page with a quote."""
    for page in dict.fromkeys(["README.md", *(sentence.page for sentence in (*QUOTES, *CLAIMS))]):
        yield page, (ROOT / page).read_text(encoding="utf-8")


def problems() -> list[str]:
    """The differences between pages and records, one line each."""
    lines: list[str] = []
    for page, text in _pages():
        try:
            new = rewritten(page, text)
        except LookupError as error:
            lines.append(str(error))
            continue
        pairs = zip(text.splitlines(), new.splitlines(), strict=False)
        lines += [
            f"{page}: “{old}” should be “{line}”: python -m bench.studies.quoted"
            for old, line in pairs
            if old != line
        ]
        if len(text.splitlines()) != len(new.splitlines()):
            lines.append(f"{page}: a table has other rows now")
    texts = dict(_pages())
    for claim in CLAIMS:
        try:
            _only(claim.page, claim.text, texts[claim.page])
        except LookupError as error:
            lines.append(str(error))
        if not claim.holds():
            lines.append(f"{claim.page}: the records do not bear out “{claim.text}”")
    return lines


def write_quoted_pages() -> list[str]:
    """Write the pages that differ from the records. Returns their paths."""
    written: list[str] = []
    for page, text in _pages():
        new = rewritten(page, text)
        if new != text:
            write_atomically(ROOT / page, new)
            written.append(page)
    return written
