"""Run the scripts of the gallery, and make a page of each: its words, its picture, its code and what it prints.

python -m bench.studies.gallery --out docs/gallery
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..utils.atomic_files import write_atomically
from ..utils.console import run_command, say
from ..utils.errors import UserError
from ..utils.provenance import ROOT

FOLDER = ROOT / "docs" / "gallery"
NAMES = (
    "choose",
    "three_trainings",
    "plug_and_play",
    "mri",
    "tomography",
    "trainer",
    "own_solver",
    "own_operator",
    "own_task",
    "bounds",
)
"""Scripts of ``FOLDER``, in the order of the gallery."""
SECONDS = 600
"""Longest time of a script; on an idle core each takes less than a minute."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Example:
    """A script of the gallery.

    Attributes:
        name: of its file, without a suffix; its picture is ``name.png``.
        title, prose: the first line of its docstring, and the rest.
        code: what follows the docstring.
    """

    name: str
    title: str
    prose: str
    code: str


def read_example(name: str) -> Example:
    """Read a script of ``FOLDER``; its docstring must have a title and a text."""
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    tree = ast.parse(text)
    title, _, prose = (ast.get_docstring(tree) or "").partition("\n")
    code = "\n".join(text.splitlines()[tree.body[0].end_lineno :])
    return Example(name, title, prose.strip(), code.strip())


def run_example(name: str, folder: Path) -> str:
    """Run a script in ``folder``, on one core; its picture is left there. Returns what it prints.

    Raises:
        UserError: the script fails, takes too long, or draws no picture.
    """
    settings = {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "PYTHONWARNINGS": "ignore",
    }
    try:
        done = subprocess.run(
            [sys.executable, str(FOLDER / f"{name}.py")],
            cwd=folder,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"{name}.py: stopped after {SECONDS} seconds") from error
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise UserError(f"{name}.py ends with exit code {done.returncode}: {last}")
    if not (folder / f"{name}.png").is_file():
        raise UserError(f"{name}.py draws no {name}.png")
    return done.stdout


def example_page(example: Example, output: str) -> str:
    """The Markdown of a script with what it printed."""
    return (
        f"# {example.title}\n\n{example.prose}\n\n![{example.title}](figures/{example.name}.png)\n\n"
        f"```python\n{example.code}\n```\n\nIt prints:\n\n```text\n{output.strip()}\n```\n\n"
        f"Run it from the folder of the checkout: `PYTHONPATH=. python docs/gallery/{example.name}.py` "
        f"([{example.name}.py]({example.name}.py)). All examples: [gallery](gallery.md).\n"
    )


def index_page(examples: list[Example]) -> str:
    """The Markdown of the list of all examples."""
    lines = [
        "# Gallery",
        "",
        "Short scripts on real images. Each prints what it finds and draws a picture, in at most a minute of one core.",
        "Pages and pictures are made by `python -m bench.studies.gallery --out docs/gallery`.",
    ]
    for example in examples:
        first = example.prose.replace("\n", " ").split(". ")[0].rstrip(".")
        lines += [
            "",
            f"## [{example.title}]({example.name}.md)",
            "",
            f"{first}.",
            "",
            f"[![{example.title}](figures/{example.name}.png)]({example.name}.md)",
        ]
    return "\n".join(lines) + "\n"


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="Folder of the pages; pictures go to its folder figures.")],
    only: Annotated[list[str] | None, typer.Option(help="A script to run; all by default.")] = None,
) -> None:
    """Run the scripts of the gallery and write their pages (five minutes).

    \b
    python -m bench.studies.gallery --out docs/gallery
    python -m bench.studies.gallery --out docs/gallery --only mri
    """
    if unknown := sorted(set(only or ()) - set(NAMES)):
        raise UserError(f"no script {unknown[0]!r}: choose from {', '.join(NAMES)}")
    (out / "figures").mkdir(parents=True, exist_ok=True)
    for name in only or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            output = run_example(name, Path(folder))
            write_atomically(out / "figures" / f"{name}.png", (Path(folder) / f"{name}.png").read_bytes())
        write_atomically(out / f"{name}.md", example_page(read_example(name), output))
        say(f"{name}: {output.strip().splitlines()[-1]}")
    write_atomically(out / "gallery.md", index_page([read_example(name) for name in NAMES]))


def entry(arguments: list[str] | None = None) -> int:
    """Run the command. Returns its exit code: 2 with one line on standard error for bad input."""
    return run_command(app, "python -m bench.studies.gallery", arguments)


if __name__ == "__main__":
    sys.exit(entry())
