"""What the study of published weights says in docs/published.md."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import pandas as pd

from ...analysis.cost_at_error import WITHIN, percent
from ..published.report import psnr_table, summary_table
from ..published.rows import ADVISED
from .references import PUBLISHED, WORDS, reference_csv

STUDY, SYMMETRIC, GENERAL = "study_ift(0.0001)", "estimated(0.01, symmetric=True)", "estimated(0.01)"
CHOICES = (STUDY, "study_jfb(0.0001)", ADVISED.label, SYMMETRIC, GENERAL)
"""Rows that are compared first."""
AGREES = 0.02
"""Difference of a PSNR in dB that does not matter."""


def published_choices() -> str:
    """Products and the worst error of the study's setting and of the advised ones, for each regulariser."""
    frame = reference_csv(f"{PUBLISHED}/summary.csv")
    names = list(frame["regulariser"].unique())
    rows = frame.set_index(["estimator", "regulariser"])

    def cell(estimator: str, name: str) -> str:
        if (estimator, name) not in rows.index:
            return "–"
        row = rows.loc[(estimator, name)]
        return f"{row['products']:.0f} ({percent(row['error_most'])})"

    lines = [f"| products (error) | {' | '.join(names)} |", "|:--" + "|--:" * len(names) + "|"]
    lines += [f"| `{row}` | {' | '.join(cell(row, name) for name in names)} |" for row in CHOICES]
    return "\n".join(lines)


def published_gradients() -> str:
    """All rows at published weights: a table for each regulariser."""
    parts: list[str] = []
    for name, rows in reference_csv(f"{PUBLISHED}/summary.csv").groupby("regulariser", sort=False):
        files = int(rows["files"].max())
        parts += [f"**{name}**, {files} weight file" + "s" * (files > 1) + ":", summary_table(rows)]
    return "\n\n".join(parts)


def published_psnr() -> str:
    """PSNR at published weights: a table for each set of images."""
    parts: list[str] = []
    for images, rows in reference_csv(f"{PUBLISHED}/psnr.csv").groupby("images", sort=False):
        parts += [f"Of {images}:", psnr_table(rows)]
    return "\n\n".join(parts)


def published_references() -> list[str]:
    """The largest distance of a reference gradient to that at ten times its tolerance."""
    return [f"{reference_csv(f'{PUBLISHED}/gradients.csv')['reference'].max():.0e}"]


def advised_beats_the_study() -> bool:
    """Whether the advised solver has fewer products and a smaller error on each weight file and seed."""
    ours, study = _both(ADVISED.label, STUDY)
    return _everywhere((ours["products"] < study["products"]) & (ours["error"] < study["error"]))


def symmetric_takes_fewer_products() -> bool:
    """Whether the symmetric estimate takes fewer products than the general one on each weight file and seed."""
    ours, general = _both(SYMMETRIC, GENERAL)
    return _everywhere(ours["products"] < general["products"])


def misses_of_the_estimates() -> list[str]:
    """On how many weight files the symmetric and the general estimate miss their tolerance."""
    frame = reference_csv(f"{PUBLISHED}/gradients.csv")
    missed = frame[frame["error"] > WITHIN]
    return [
        WORDS[missed.loc[missed["estimator"] == name, "weights"].nunique()] for name in (SYMMETRIC, GENERAL)
    ]


def mean_psnr_is_that_of_further_solves() -> bool:
    """Whether no mean PSNR over images changes by ``AGREES`` where a solve goes on."""
    frame = reference_csv(f"{PUBLISHED}/psnr.csv")
    return _everywhere((frame["advised"] - frame["exact"]).abs() < AGREES)


def largest_change_of_psnr() -> list[str]:
    """The largest change of one image's PSNR where a solve goes on."""
    return [f"{reference_csv(f'{PUBLISHED}/psnr.csv')['largest'].max():.2f} dB"]


def _both(a: str, b: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of two estimators, by the weight files and seeds on which both were measured."""
    frame = reference_csv(f"{PUBLISHED}/gradients.csv").set_index(["weights", "seed"])
    first, second = frame[frame["estimator"] == a], frame[frame["estimator"] == b]
    common = first.index.intersection(second.index)
    return first.loc[common], second.loc[common]


def _everywhere(holds: pd.Series) -> bool:
    return bool(len(holds)) and bool(holds.all())
