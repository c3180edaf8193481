"""What stands in README and docs: links, headings, snippets, commands."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bench.utils.provenance import ROOT

PAGES = sorted(
    [ROOT / "README.md", ROOT / "DESIGN.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
)
COMMAND = re.compile(r"^(?:\$ )?((?:[A-Z_]+=\S+ )*(?:python3? -m|tox|uvx|git|cd|export|sbatch|pytest)\b.*)$")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
ROUNDING = 1e-5
"""Below it a figure is that of a stopping rule or of rounding, and moves from machine to machine."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A block of Python, and what stands below it as its output; ``None`` where nothing does."""

    page: Path
    line: int
    code: str
    output: str | None


def name(page: Path) -> str:
    """As pytest shows it."""
    return page.relative_to(ROOT).as_posix()


def tokens(page: Path) -> list[Token]:
    """The page as Markdown."""
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    """Where its links and images lead."""
    inside = [child for token in tokens(page) for child in token.children or []]
    found = [token.attrGet("href") or token.attrGet("src") for token in inside]
    return [str(link) for link in found if link]


def anchors(page: Path) -> set[str]:
    """The headings, as GitHub turns them into anchors."""
    every = tokens(page)
    headings = [after.content for token, after in pairwise(every) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def snippets(page: Path) -> list[Snippet]:
    """Its blocks of Python, in order."""
    blocks = [token for token in tokens(page) if token.type == "fence"]
    found: list[Snippet] = []
    for block, after in zip(blocks, [*blocks[1:], None], strict=False):
        if block.info == "python" and block.map:
            output = after.content if after is not None and after.info == "text" else None
            found.append(Snippet(page, block.map[0] + 1, block.content, output))
    return found


def commands(page: Path) -> list[list[str]]:
    """The words of every command line in its blocks of code; comments are no words of them."""
    found: list[list[str]] = []
    for token in tokens(page):
        if token.type == "code_block" or (token.type == "fence" and token.info in ("", "sh", "console")):
            for line in token.content.splitlines():
                if match := COMMAND.match(line.strip()):
                    found += [shlex.split(part, comments=True) for part in match[1].split(" && ")]
    return found


def agree(found: str, shown: str) -> bool:
    """The same words, and numbers that differ by no more than another machine's rounding would make them."""
    if NUMBER.sub("#", found).split() != NUMBER.sub("#", shown).split():
        return False
    pairs = zip(NUMBER.findall(found), NUMBER.findall(shown), strict=True)
    return all(abs(float(a) - float(b)) <= max(0.02 * abs(float(b)), ROUNDING) for a, b in pairs)
