"""How the wheel ``eqgrad`` is made of the checkout: its packages, its extras and its page on an index.

The checkout has the packages ``solvers``, ``bench`` and ``theory_checks`` at its top, names that no wheel may take. The
wheel has them as ``eqgrad``, ``eqgrad.bench`` and ``eqgrad.theory_checks``, with their imports written anew. Names that
were instead aliased in ``sys.modules`` would be visible to every other package, which may have a ``bench`` of its own.
"""

from __future__ import annotations

import ast
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PACKAGES = {"solvers": "eqgrad", "bench": "eqgrad.bench", "theory_checks": "eqgrad.theory_checks"}
"""Packages of the checkout, and their names in the wheel."""
EXTRAS = {
    "bench": "bench",
    "checks": "theory",
    "peers": "peers",
    "worst-case": "worst-case",
    "oracle": "oracle",
    "cluster": "cluster",
}
"""Extras of the wheel, and the dependency groups that they are."""
ANY = "|".join(PACKAGES)
MODULE = re.compile(rf"(?<=[\"'`])({ANY})(?=\.[\w{{\"'])")
"""A string that is, or begins, the dotted name of a module."""
CLASS = re.compile(rf"\b({ANY})(?=(?:\.[a-z_]\w*)*\.[A-Z])")
"""A class in a message: ``not a solvers.Solver``."""
EXAMPLE = re.compile(rf"(?<=from )({ANY})(?=[\w.]* import)")
"""An import in the example of a docstring."""
WORDS = (
    (re.compile(r'"python", "-m", "(?:bench|theory_checks)"'), '"eqgrad"'),
    (re.compile(r"python -m (?:bench|theory_checks)(?![\w.])"), "eqgrad"),
    (re.compile(r"-([mp]) (bench|theory_checks)(?=\.)"), r"-\1 eqgrad.\2"),
    (re.compile(r"pip install --group ([\w-]+)"), r"pip install 'eqgrad[\1]'"),
    (re.compile(r"run tox -e peers, or uv sync --group peers"), "pip install 'eqgrad[peers]'"),
    (re.compile(r"tox -e bounds"), "eqgrad verify --examples 100 --out results/bounds"),
    (re.compile(r"Use it, from the checkout of the project, as"), "Use it as"),
    (re.compile(r"PYTHONPATH=FOLDER_OF_EQGRAD pytest"), "pytest"),
)
"""What the checkout calls its commands, in any text, and what an installed eqgrad calls them."""
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)]*)\)")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?://)([^)#]*)(?:#[^)]*)?\)")


def in_wheel(module: str) -> str:
    """The name in the wheel of a module of the checkout; of any other module, its own."""
    top, dot, rest = module.partition(".")
    return PACKAGES.get(top, top) + dot + rest


def renamed(source: str) -> str:
    """A Python file of the checkout with the imports, module names and commands of the wheel.

    Raises:
        ValueError: it imports a dotted module without ``as``, which binds a name that the wheel does not have.
    """
    raw = source.encode()
    for start, end, text in sorted(_edits(raw), reverse=True):
        raw = raw[:start] + text.encode() + raw[end:]
    return _with_words(raw.decode())


def _with_words(text: str) -> str:
    for pattern, words in WORDS:
        text = pattern.sub(words, text)
    return text


def _edits(raw: bytes) -> Iterator[tuple[int, int, str]]:
    """Where other text has to stand: first and last byte, and the text."""
    lines = [0, *(found.end() for found in re.finditer(rb"\n", raw))]

    def span(node: ast.expr | ast.stmt | ast.alias) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return lines[node.lineno - 1] + node.col_offset, lines[node.end_lineno - 1] + node.end_col_offset

    nodes: list[ast.AST] = [ast.parse(raw)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            start = raw.index(node.module.encode(), span(node)[0] + len("from"))
            yield start, start + len(node.module), in_wheel(node.module)
        elif isinstance(node, ast.alias) and node.name.partition(".")[0] in PACKAGES:
            if node.asname is None and "." in node.name:
                raise ValueError(
                    f"line {node.lineno}: import {node.name} binds {node.name.partition('.')[0]}"
                )
            yield *span(node), f"{in_wheel(node.name)} as {node.asname or node.name}"
        elif isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            start, end = span(node)
            new = raw[start:end].decode()
            for pattern in (EXAMPLE, CLASS, MODULE):
                new = pattern.sub(lambda found: PACKAGES[found[1]], new)
            yield start, end, new
            continue
        # The names after `from … import` are no modules of the top.
        nodes += [] if isinstance(node, ast.ImportFrom) else ast.iter_child_nodes(node)


def write_packages(root: Path, into: Path) -> None:
    """Write the packages of the wheel into a folder."""
    for package, name in PACKAGES.items():
        for file in sorted((root / package).rglob("*")):
            if not file.is_file() or "__pycache__" in file.parts or file.suffix == ".pyc":
                continue
            target = into.joinpath(*name.split(".")) / file.relative_to(root / package)
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.name.endswith((".py", ".py.txt")):
                target.write_text(renamed(file.read_text(encoding="utf-8")), encoding="utf-8")
            elif file.suffix == ".j2":
                target.write_text(_with_words(file.read_text(encoding="utf-8")), encoding="utf-8")
            else:
                shutil.copyfile(file, target)


def requirements(groups: dict[str, list[Any]], name: str) -> list[str]:
    """The requirements of a dependency group, and of those that it includes, each once."""
    found: dict[str, None] = {}
    for entry in groups[name]:
        found |= dict.fromkeys(
            requirements(groups, entry["include-group"]) if isinstance(entry, dict) else [entry]
        )
    return list(found)


def index_page(readme: str) -> str:
    """The README for a package index, which has neither the files that it shows nor those that it links."""
    page = IMAGE.sub(r"*Figure, \2 of the project: \1.*", readme)
    page = LINK.sub(lambda found: found[1] if found[1] in found[2] else f"{found[1]} ({found[2]})", page)
    return re.sub(r"^<!--.*-->\n", "", page, flags=re.MULTILINE)


class CustomBuildHook(BuildHookInterface):
    """Puts the packages under their names in the wheel; an editable install leaves them where they are."""

    folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the packages, and tell hatchling where they are."""
        if version == "editable":
            return
        self.folder = tempfile.TemporaryDirectory(prefix="eqgrad-wheel-")
        into = Path(self.folder.name)
        write_packages(Path(self.root), into)
        build_data["force_include"][str(into / "eqgrad")] = "eqgrad"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was written."""
        if self.folder is not None:
            self.folder.cleanup()


class CustomMetadataHook(MetadataHookInterface):
    """Fills in the extras, from the dependency groups, and the page on an index, from the README."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add both."""
        text = (Path(self.root) / "pyproject.toml").read_text(encoding="utf-8")
        groups = tomllib.loads(text)["dependency-groups"]
        metadata["optional-dependencies"] = {
            extra: requirements(groups, group) for extra, group in EXTRAS.items()
        }
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": index_page(readme)}
