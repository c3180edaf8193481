"""Tables of claims on operators, of mutants, and of other libraries' gradients."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from bench.utils.atomic_files import write_atomically

from ..engine import MutationResult
from ..operators.operator_claims import OperatorCheck
from .experiment_tables import markdown_table

if TYPE_CHECKING:  # they import packages that may not be installed
    from ..operators.external_libraries import ExternalCheck
    from ..oracle import OracleCheck


def operator_frame(checks: list[OperatorCheck]) -> pd.DataFrame:
    """Claims on operators, one row each, as text."""
    rows = [
        {
            "operator": check.of,
            "claim": check.claim,
            "L": f"{check.L:.4g} ({check.rigour})",
            "ratio": "—" if math.isnan(check.ratio) else f"{check.ratio:.2g}",
            "verdict": check.verdict,
            "why": check.reason,
        }
        for check in checks
    ]
    return pd.DataFrame(rows)


def mutation_frame(results: list[MutationResult]) -> pd.DataFrame:
    """Mutants and the claims that caught them, one row each, as text."""
    rows = [
        {
            "mutation": result.name,
            "caught by": ", ".join(result.caught) or "NOBODY",
            "for instance": next(iter(result.caught.values()), ""),
        }
        for result in results
    ]
    return pd.DataFrame(rows)


def write_mutations(results: list[MutationResult], folder: Path) -> Path:
    """Write ``mutations.md`` into a folder."""
    return _write_table(mutation_frame(results), folder / "mutations.md")


def external_frame(checks: list[ExternalCheck]) -> pd.DataFrame:
    """Relative errors of other libraries: a row for each library and case, a column for each scale of the loss."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for check in checks:
        row = rows.setdefault(
            (check.case, check.library), {"operator": check.case, "library, budget": check.library}
        )
        column = "loss" if check.scale == 1 else f"loss × {check.scale:g}"
        row[column] = check.verdict if math.isnan(check.error) else f"{check.error:.1e} {check.verdict}"
    return pd.DataFrame(list(rows.values()))


def write_external(frame: pd.DataFrame, folder: Path) -> Path:
    """Write ``peers.md`` into a folder."""
    return _write_table(frame, folder / "peers.md")


def oracle_frame(checks: list[OracleCheck]) -> pd.DataFrame:
    """Reference gradients and derivatives of cone programmes, one row for each task, as text."""
    rows = [
        {
            "task": check.task,
            "distance of the gradients": f"{check.error:.1e}",
            "error of the reference": f"{check.bound:.1e} ({check.basis})",
            "verdict": "agrees" if check.agrees else "DISAGREES",
        }
        for check in checks
    ]
    return pd.DataFrame(rows)


def write_oracle(frame: pd.DataFrame, folder: Path) -> Path:
    """Write ``oracle.md`` into a folder."""
    return _write_table(frame, folder / "oracle.md")


def _write_table(frame: pd.DataFrame, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, markdown_table(frame) + "\n")
    return file
