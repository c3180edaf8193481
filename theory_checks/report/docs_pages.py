"""Generate the pages of ``docs/`` that come from the code: the API reference, and tables of claims, columns and misuse.

The pages are committed as Markdown, so that they can be read in the repository and a test can compare them with the
code. mkdocstrings renders its pages only while a site is built, and a parser such as griffe would replace only the
thirty lines here that read sections of docstrings, for one more dependency.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import solvers
from bench.config.matrix import parse_solver, parse_task
from bench.measurement.hypergradient import reference_gradient
from bench.report.legend import columns_markdown
from bench.tasks import build_problem
from bench.tasks.images import find_images
from bench.utils.atomic_files import write_atomically
from bench.utils.provenance import ROOT

from .. import companions
from ..claims import CLAIMS
from ..operators.user_operator import UserOperator
from . import misuse

API_SECTIONS: dict[str, tuple[str, ...]] = {
    "Estimators": tuple(solvers.ESTIMATORS),
    "Parts of a solver": (
        *("Solver", "FixedSteps", "Picard", "Nesterov", "Anderson", "QuasiNewton"),
        *("GMRES", "ProxCG", "CG", "SharedInverse"),
    ),
    "Backward modes": (
        *("TruncatedBackprop", "ImplicitDifferentiation", "CertifiedBackward", "StagnationWarning"),
    ),
    "Results": ("Solution", "FixedPoint", "SolveReport"),
    "Certificates": (
        *("GradientMonitor", "Certificate", "certificate", "audit", "TapeRecorder", "ToleranceSchedule"),
    ),
    "Properties that a map or a loss may state": (
        *("HasDerivativeBounds", "DerivativeBounds", "DerivativeChange", "LipschitzConstants"),
        *("Smooth", "SmoothLoss", "SupportsSelect", "SupportsStages", "AdjointStages"),
    ),
    "A solver in a model": (
        *("Reconstructor", "OptimOperator", "WarmStarts", "LastSolve", "EquilibriumWarning", "parse_solver"),
        *("log_to_tensorboard", "log_to_mlflow", "log_to_wandb"),
    ),
    "Interfaces for your own solver": (
        *("ForwardSolver", "BackwardMode", "AdjointSolver", "AdjointOperator", "EstimatorSpec"),
        *("TapedApplication", "last_backward_pass", "WrappedBounds"),
    ),
}
"""Public names of the library by section. The function types ``Map``, ``Loss`` and ``SolveLog`` are in the text."""
BENCHMARK_NAMES = (parse_task, parse_solver, find_images, build_problem, reference_gradient, UserOperator)
"""Names of the benchmark that the tutorial uses."""
BEGIN, END = "<!-- claims: python -m theory_checks docs -->", "<!-- end of the claims -->"
COLUMNS = "<!-- columns: python -m theory_checks docs -->", "<!-- end of the columns -->"
"""Marks around the generated parts of pages."""
SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")
ENTRY = re.compile(r"^    (\S[^:]*): (.*)$")


def api_reference() -> str:
    """The text of ``docs/api.md``: signatures and docstrings of the public names."""
    lines = [
        "# Reference",
        "",
        "The library `eqgrad`; inside the checkout it is imported as `solvers`. Generated from the docstrings by",
        "`python -m theory_checks docs`. `Map` and `Loss` are `Callable[[Tensor], Tensor]`; a loss returns a scalar.",
    ]
    for title, names in API_SECTIONS.items():
        lines += ["", f"## {title}"]
        for name in names:
            lines += ["", *_entry(getattr(solvers, name))]
    lines += ["", "## The benchmark"]
    for thing in BENCHMARK_NAMES:
        lines += ["", *_entry(thing)]
    return "\n".join(lines) + "\n"


def claims_table() -> str:
    """The generated table of ``docs/claims.md``."""
    lines = ["| claim | statement | assumes | source |", "|---|---|---|---|"]
    for claim in CLAIMS.values():
        lines.append(_cells(claim.id, claim.statement, claim.assumptions, claim.source))
    return "\n".join(lines)


def companions_tables() -> str:
    """The generated tables of ``docs/companions.md``, one for each group of experiments."""
    lines: list[str] = []
    for group in companions.GROUPS:
        lines += [f"### {group.title}", "", f"`--claims {group.name}`", ""]
        lines += ["| claim | statement | known | assumes | source |", "|---|---|---|---|---|"]
        for e in group.experiments:
            lines.append(_cells(e.id, e.statement, e.evidence.value, e.assumptions, e.source))
        lines.append("")
    return "\n".join(lines).rstrip()


def _cells(*cells: str) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def pages(docs: Path) -> dict[Path, str]:
    """The text of every generated page in the folder ``docs``."""
    texts = {
        docs / "api.md": api_reference(),
        docs / "claims.md": _fill(docs / "claims.md", claims_table()),
        docs / "companions.md": _fill(docs / "companions.md", companions_tables()),
        docs / "tables.md": _fill(docs / "tables.md", columns_markdown(), *COLUMNS),
    }
    tests = ROOT / "tests"
    return texts | ({docs / "misuse.md": misuse.misuse_page(tests)} if tests.is_dir() else {})


def _fill(page: Path, text: str, begin: str = BEGIN, end: str = END) -> str:
    before, rest = page.read_text(encoding="utf-8").split(begin)
    return f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}"


def write_pages(docs: Path = ROOT / "docs") -> list[Path]:
    """Write the generated pages into the folder ``docs``. Returns their paths."""
    for page, text in pages(docs).items():
        write_atomically(page, text)
    return list(pages(docs))


def _entry(thing: type | Callable[..., object]) -> list[str]:
    name = thing.__name__
    try:
        signature = str(inspect.signature(thing))
    except (TypeError, ValueError):
        signature = ""
    if getattr(thing, "_is_protocol", False):
        signature = ""  # a protocol is never called
    lines = [
        f"### {name}",
        "",
        "```text",
        f"{name}{_simplify_signature(signature)}",
        "```",
        "",
        *_prose(inspect.getdoc(thing) or ""),
    ]
    if inspect.isclass(thing):
        methods = [(name, inspect.getdoc(getattr(thing, name)) or "") for name in _methods(thing)]
        lines += [""] * bool(methods) + [
            f"- `.{name}`: {_single_backticks(docstring.splitlines()[0])}" for name, docstring in methods
        ]
    return lines


def _methods(thing: type) -> list[str]:
    """Names of public methods and properties with a docstring of their own."""
    return [
        name
        for name, value in vars(thing).items()
        if not name.startswith("_") and callable(value) | isinstance(value, property) and value.__doc__
    ]


def _simplify_signature(signature: str) -> str:
    """Remove the quotes of annotations, and the modules of names."""
    signature = signature.replace("<factory>", "[]")
    return re.sub(
        r"\b(?:torch|collections\.abc|solvers|bench|theory_checks)(?:\.\w+)*\.(?=\w)",
        "",
        signature.replace("'", ""),
    )


def _single_backticks(text: str) -> str:
    return text.replace("``", "`")


def _prose(docstring: str) -> list[str]:
    """Convert a docstring to Markdown: paragraphs stay, sections become lists."""
    lines: list[str] = []
    section = False
    for line in docstring.splitlines():
        if SECTION.match(line):
            section = True
            lines += [f"*{line.removesuffix(':')}*", ""]
        elif section and (entry := ENTRY.match(line)):
            lines.append(f"- `{entry[1].replace('``', '')}`: {_single_backticks(entry[2])}")
        elif section and line.startswith("    "):
            lines.append(f"  {_single_backticks(line.strip())}")
        else:
            section = section and not line.strip()
            lines.append(_single_backticks(line))
    return lines
