"""Holds a run against a reference, cell by cell: the columns that no machine should change."""

# The stubs of pandas and seaborn know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .errors import UserError
from .frame import tidy
from .peers import PEERS
from .report import load


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a column may lie from the reference: ``|a − b| ≤ absolute + relative·|b|``."""

    absolute: float = 0.0
    relative: float = 0.0

    def admits(self, found: float, reference: float) -> bool:
        """Whether ``found`` is within the tolerance; two missing values agree, one does not."""
        if pd.isna(found) or pd.isna(reference):
            return bool(pd.isna(found) and pd.isna(reference))
        if found == reference:  # infinite values too
            return True
        return abs(found - reference) <= self.absolute + self.relative * abs(reference)

    def __str__(self) -> str:
        parts = [f"{self.absolute:g}"] * bool(self.absolute) + [f"{self.relative:.0%}"] * bool(self.relative)
        return " + ".join(parts) or "exact"


TOLERANCES = {
    "psnr": Tolerance(absolute=0.05),
    "psnr_equilibrium": Tolerance(absolute=0.05),
    "ssim": Tolerance(absolute=0.005),
    "ssim_equilibrium": Tolerance(absolute=0.005),
    # Below 1e-6 an error is that of a stopping rule or of rounding, and moves with the order of sums.
    "hypergradient_error": Tolerance(absolute=1e-6, relative=0.05),
    "hypergradient_cosine": Tolerance(absolute=1e-3),
    "residual": Tolerance(absolute=1e-7, relative=0.05),
    # A lower bound that may stop short of a cluster of eigenvalues.
    "jacobian_norm": Tolerance(absolute=0.002, relative=0.02),
    "psnr_10": Tolerance(absolute=0.05),
    "psnr_100": Tolerance(absolute=0.05),
    # A tolerance may be met an application or two earlier elsewhere; fixed depths do not move at all.
    "applications": Tolerance(absolute=3.0, relative=0.03),
    "vjps": Tolerance(absolute=3.0, relative=0.03),
    "recorded": Tolerance(),
    "saved_mib": Tolerance(relative=0.01),
}
FIXED = frozenset({"applications", "vjps"})
ADAPTIVE = frozenset({"deq", "implicit", *PEERS})


def compare(folder: Path, reference: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells of ``reference`` against those of ``folder``.

    Returns:
        What disagrees, one row a cell and column (a missing cell is one row); and for each column its
        tolerance, how many cells were held against it, and the largest difference.

    Raises:
        UserError: one of the folders holds no run, or they have no cell in common.
    """
    key = ["task", "crop", "batch", "solver", "seed"]
    found, expected = (tidy(load(f)).set_index(key) for f in (folder, reference))
    shared = expected.index.intersection(found.index)
    if shared.empty:
        raise UserError(f"{folder} and {reference} have no cell in common: compare runs of the same profile")
    differences = [
        {
            **dict(zip(key, cell, strict=True)),
            "column": "cell",
            "found": "missing",
            "reference": "there",
            "tolerance": "",
        }
        for cell in expected.index.difference(found.index, sort=False)
    ]
    overview = []
    for column, tolerance in TOLERANCES.items():
        largest = 0.0
        for cell in shared:
            a, b = found.at[cell, column], expected.at[cell, column]
            exact = column in FIXED and expected.at[cell, "family"] not in ADAPTIVE
            allowed = Tolerance() if exact else tolerance
            if math.isfinite(a) and math.isfinite(b):
                largest = max(largest, abs(a - b))
            if not allowed.admits(a, b):
                row = {
                    "column": column,
                    "found": f"{a:.6g}",
                    "reference": f"{b:.6g}",
                    "tolerance": str(allowed),
                }
                differences.append({**dict(zip(key, cell, strict=True)), **row})
        overview.append(
            {
                "column": column,
                "tolerance": str(tolerance),
                "cells": len(shared),
                "largest difference": f"{largest:.2g}",
            }
        )
    ratios = (found.loc[shared, "step_ms"] / expected.loc[shared, "step_ms"]).dropna()
    if len(ratios):
        seconds = f"{ratios.median():.2f} × (from {ratios.min():.2f} to {ratios.max():.2f})"
        overview.append(
            {
                "column": "step_ms",
                "tolerance": "not held",
                "cells": len(ratios),
                "largest difference": seconds,
            }
        )
    for cell in shared:
        a, b = found.at[cell, "status"], expected.at[cell, "status"]
        if a != b:
            row = {"column": "status", "found": a, "reference": b, "tolerance": "exact"}
            differences.append({**dict(zip(key, cell, strict=True)), **row})
    return pd.DataFrame(differences), pd.DataFrame(overview)
