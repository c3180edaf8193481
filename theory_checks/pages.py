"""The pages of the docs that are made from the code: the reference of the library, and the table of claims."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import solvers
from bench.files import write_atomically
from bench.images import find_images
from bench.matrix import parse_solver, parse_task
from bench.oracle import hypergradient
from bench.provenance import ROOT
from bench.tasks import instance

from . import companions
from .claims import ROSTER
from .operator import Operator

GROUPS: dict[str, tuple[str, ...]] = {
    "Estimators": tuple(solvers.ROSTER),
    "What they are made of": ("Solver", "Iterate", "Picard", "Nesterov", "Anderson", "GMRES", "CG", "Shared"),
    "What autograd sees": ("Tracked", "Implicit", "Certified", "StagnationWarning"),
    "What comes out": ("Solution", "Equilibrium", "Report"),
    "How wrong it is": ("Monitor", "Certificate", "certificate", "audit", "Watch", "Schedule"),
    "What a map and a loss may say of themselves": (
        "Regular",
        "Regularity",
        "Change",
        "Lipschitz",
        "Smooth",
        "SmoothLoss",
        "Divisible",
    ),
    "As a model": ("Reconstructor",),
    "For a solver of one's own": (
        "Reach",
        "Pull",
        "Adjoint",
        "Affine",
        "Estimator",
        "Taped",
        "last_pass",
        "Through",
    ),
}
"""The public names of the library; types of functions (``Map``, ``Loss``) stand in the text."""
AROUND = (parse_task, parse_solver, find_images, instance, hypergradient, Operator)
"""What the tutorial uses of the benchmark."""
BEGIN, END = "<!-- claims: python -m theory_checks docs -->", "<!-- end of the claims -->"
"""What is between them is made from the code."""
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")
ENTRY = re.compile(r"^    (\S[^:]*): (.*)$")


def reference() -> str:
    """``docs/api.md``: signatures and docstrings of the public names."""
    lines = [
        "# Reference",
        "",
        "The library `eqgrad`; inside the checkout it is imported as `solvers`. Made from the docstrings by",
        "`python -m theory_checks docs`. `Map` is `Callable[[Tensor], Tensor]`, and so is `Loss`, to a scalar.",
    ]
    for title, names in GROUPS.items():
        lines += ["", f"## {title}"]
        for name in names:
            lines += ["", *_entry(getattr(solvers, name))]
    lines += ["", "## Of the benchmark"]
    for thing in AROUND:
        lines += ["", *_entry(thing)]
    return "\n".join(lines) + "\n"


def claims_table() -> str:
    """The table of ``docs/claims.md``."""
    lines = ["| claim | statement | assumes | source |", "|---|---|---|---|"]
    for claim in ROSTER.values():
        lines.append(_cells(claim.id, claim.statement, claim.assumptions, claim.source))
    return "\n".join(lines)


def companions_tables() -> str:
    """The tables of ``docs/companions.md``, one a group."""
    lines: list[str] = []
    for group in companions.GROUPS:
        lines += [f"### {group.title}", "", f"`--claims {group.name}`", ""]
        lines += ["| claim | statement | known | assumes | source |", "|---|---|---|---|---|"]
        for e in group.experiments:
            lines.append(_cells(e.id, e.statement, e.mark.value, e.assumptions, e.source))
        lines.append("")
    return "\n".join(lines).rstrip()


def _cells(*cells: str) -> str:
    """A row of a table in Markdown."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def pages(docs: Path) -> dict[Path, str]:
    """What the pages in ``docs`` should hold."""
    return {
        docs / "api.md": reference(),
        docs / "claims.md": _filled(docs / "claims.md", claims_table()),
        docs / "companions.md": _filled(docs / "companions.md", companions_tables()),
    }


def _filled(page: Path, made: str) -> str:
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.split(END)[1]}"


def write(docs: Path = ROOT / "docs") -> list[Path]:
    """Write them."""
    for page, text in pages(docs).items():
        write_atomically(page, text)
    return list(pages(docs))


def _entry(thing: type | Callable[..., object]) -> list[str]:
    name = thing.__name__
    try:
        shown = str(inspect.signature(thing))
    except (TypeError, ValueError):
        shown = ""
    if getattr(thing, "_is_protocol", False):
        shown = ""  # nobody makes one
    lines = [
        f"### {name}",
        "",
        "```text",
        f"{name}{_plain(shown)}",
        "```",
        "",
        *_prose(inspect.getdoc(thing) or ""),
    ]
    if inspect.isclass(thing):
        methods = [(name, inspect.getdoc(getattr(thing, name)) or "") for name in _methods(thing)]
        lines += [""] * bool(methods) + [
            f"- `.{name}`: {_code(said.splitlines()[0])}" for name, said in methods
        ]
    return lines


def _methods(thing: type) -> list[str]:
    """Public methods and properties with a docstring of their own."""
    return [
        name
        for name, value in vars(thing).items()
        if not name.startswith("_") and callable(value) | isinstance(value, property) and value.__doc__
    ]


def _plain(signature: str) -> str:
    """Without the quotes of annotations, and the modules of names."""
    signature = signature.replace("<factory>", "[]")
    return re.sub(
        r"\b(?:torch|collections\.abc|solvers|bench|theory_checks)(?:\.\w+)*\.(?=\w)",
        "",
        signature.replace("'", ""),
    )


def _code(text: str) -> str:
    return text.replace("``", "`")


def _prose(docstring: str) -> list[str]:
    """Paragraphs as they are; sections as lists."""
    lines: list[str] = []
    section = False
    for line in docstring.splitlines():
        if SECTION.match(line):
            section = True
            lines += [f"*{line.removesuffix(':')}*", ""]
        elif section and (entry := ENTRY.match(line)):
            lines.append(f"- `{entry[1].replace('``', '')}`: {_code(entry[2])}")
        elif section and line.startswith("    "):
            lines.append(f"  {_code(line.strip())}")
        else:
            section = section and not line.strip()
            lines.append(_code(line))
    return lines
