"""Hooks of mkdocs: the site has the layout of the checkout, so that links of README and docs need no change."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "DESIGN.md", "CHANGELOG.md")
"""Pages outside docs/; the first is the home page."""
LINK = re.compile(r"\]\(([^)\s#]+)")
"""Where a link or an image of Markdown leads, without its anchor."""


def linked_files(pages: list[Path]) -> list[Path]:
    """The pages, and all files of the checkout that they, or pages that they link to, link to."""
    found: dict[Path, None] = {}
    ahead = list(pages)
    while ahead:
        file = ahead.pop(0)
        if file in found:
            continue
        found[file] = None
        if file.suffix == ".md":
            links = LINK.findall(file.read_text(encoding="utf-8"))
            targets = [(file.parent / link).resolve() for link in links if "://" not in link]
            ahead += [target for target in targets if target.is_file() and target.is_relative_to(ROOT)]
    return list(found)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Replace the files of docs/ by the same under ``docs/``, beside README and all files that are linked."""
    for file in list(files):
        if file.generated_by is None and Path(file.src_dir or "") == ROOT / "docs":
            files.remove(file)
    docs = ROOT / "docs"
    own = [*sorted(docs.rglob("*.md")), docs / "site.css", docs / "iframe-worker.js"]
    for file in linked_files([*(ROOT / name for name in PAGES), *own]):
        files.append(File.generated(config, file.relative_to(ROOT).as_posix(), abs_src_path=str(file)))
    return files
