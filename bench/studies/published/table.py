"""What was measured, as tidy frames: a line a gradient, and a line a weight file with its PSNR."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from solvers import Solver

from ...config.call_syntax import family
from .measure import Measured
from .psnr import Scores
from .rows import Row


@dataclass(frozen=True, slots=True)
class GradientLine:
    """A row on a weight file with a seed, and what was measured."""

    weights: str
    regulariser: str
    seed: int
    row: Row
    measured: Measured


@dataclass(frozen=True, slots=True)
class PsnrLine:
    """A weight file, the images, and their PSNR."""

    weights: str
    regulariser: str
    images: str
    scores: Scores


def gradient_frame(lines: Sequence[GradientLine]) -> pd.DataFrame:
    """A line for each weight file, seed and row.

    Columns: ``regulariser, weights, seed, source, estimator, family``; ``peer``, whether it is another's; ``products``,
    the sum of ``applications`` and ``vjps``; then those of ``Measured``.
    """
    return pd.DataFrame(
        {
            "regulariser": line.regulariser,
            "weights": line.weights,
            "seed": line.seed,
            "source": line.row.source,
            "estimator": line.row.solver.label,
            "family": family(line.row.solver.label),
            "peer": not isinstance(line.row.solver, Solver),
            "products": line.measured.applications + line.measured.vjps,
            **line.measured.columns(),
        }
        for line in lines
    )


def worst_frame(gradients: pd.DataFrame) -> pd.DataFrame:
    """A line for each regulariser and row: means of products, and the worst error, over its weight files and seeds.

    Columns: ``regulariser, source, estimator, family, peer, files``; ``products`` with ``…_least`` and ``…_most``;
    ``applications, vjps`` means; ``error`` with ``…_least`` and ``…_most``, its median in the middle; ``cosine``, the
    smallest; ``scaled``, the largest.
    """
    names = ["regulariser", "source", "estimator", "family", "peer"]
    return (
        gradients.groupby(names, sort=False)
        .agg(
            files=("weights", "nunique"),
            products=("products", "mean"),
            products_least=("products", "min"),
            products_most=("products", "max"),
            applications=("applications", "mean"),
            vjps=("vjps", "mean"),
            error=("error", "median"),
            error_least=("error", "min"),
            error_most=("error", "max"),
            cosine=("cosine", "min"),
            scaled=("scaled", "max"),
        )
        .reset_index()
    )


def psnr_frame(lines: Sequence[PsnrLine]) -> pd.DataFrame:
    """A line for each weight file: ``regulariser, weights, images`` and the columns of ``Scores``."""
    return pd.DataFrame(
        {
            "regulariser": line.regulariser,
            "weights": line.weights,
            "images": line.images,
            **line.scores.columns(),
        }
        for line in lines
    )
