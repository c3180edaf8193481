"""Points and figure of the error of restarted JFB against its bound (C6)."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false
from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
import pandas as pd

from bench.report.bound_plot import error_against_bound
from bench.report.figure_style import save_figure
from bench.report.figures import to_figure
from bench.utils.atomic_files import write_atomically

from ..claims.c06_restarted_error import restarted_error
from ..instances import Case, solve_exactly, two_norm
from ..instances.bounds import restarted_bound
from ..instances.synthetic import isotropic, network, scaling, tanh

ROUNDING = 1e-14
"""Relative errors below this are rounding."""


def bound_points() -> pd.DataFrame:
    """Error of restarted JFB and its bound over the depth K, for R = 0, 1 and 3, on four maps.

    Returns:
        Columns ``map``, ``R``, ``K``, ``error`` and ``bound``; the last two relative to ``‖g_DEQ‖``, at least 1e-14.
    """
    cases: dict[str, Case] = {
        "isotropic, L = 0.8": isotropic(3, 0.8, 0),
        "scaling, L = 0.8": scaling(0.8, 0.5, 3.0),
        "tanh, L = 0.9": tanh(4, 3, 0.9, 3),
        "network, L = 0.9": network(4, 0.9, 5),
    }
    rows = []
    for name, case in cases.items():
        exact = solve_exactly(case)
        for R in (0, 1, 3):
            for K in range(1, 41):
                sides = {
                    "error": restarted_error(case, K, R),
                    "bound": restarted_bound(case, exact, K, R).total,
                }
                relative = {
                    side: max(value / two_norm(exact.gradient), ROUNDING) for side, value in sides.items()
                }
                rows.append({"map": name, "R": R, "K": K} | relative)
    return pd.DataFrame(rows)


def points_json(points: pd.DataFrame) -> str:
    """Points as JSON: one object a line, six digits."""
    lines = [
        json.dumps(row | {side: float(f"{row[side]:.6g}") for side in ("error", "bound")})
        for row in points.to_dict("records")
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def write_bound_figure(folder: Path) -> list[Path]:
    """Write ``error-against-bound.json`` and the figure into a folder."""
    mpl.use("agg")
    points = bound_points()
    written = folder / "error-against-bound.json"
    write_atomically(written, points_json(points))
    figure = to_figure(error_against_bound(points.to_dict("records")))
    return [written, *save_figure(figure, "error-against-bound", folder)]
