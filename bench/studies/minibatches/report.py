"""The table of the study, in Markdown."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false
from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import pandas as pd

from .measure import Curve
from .row import Row

LEGEND = """\
Every row starts at the same weights; mean over the seeds (smallest–largest). *Products*: applications and
vector–Jacobian products of a step on all crops, or as many on a share of them, with rejected trials. *Left*: the share
of the gain that is left at the last evaluation of an epoch, by exact losses on all crops, which cost no row anything.
The *gain* is from the first loss to the smallest of any row and epoch on that seed. An epoch with all crops is one step
of the optimiser, and the first is the evaluation at the start.
"""


def minibatch_markdown(found: Mapping[str, Sequence[tuple[Row, Sequence[Curve]]]], setting: str) -> str:
    """A table for each task, with a legend.

    Args:
        found: the rows of each task, with a curve for each seed.
        setting: a line on images, seeds and the machine.
    """
    parts = ["# Learning from a part of the data in each step", setting, LEGEND.strip()]
    for task, curves in found.items():
        parts += [f"## `{task}`", _table(curves)]
    return "\n\n".join(parts) + "\n"


def left(curves: Sequence[Sequence[Curve]]) -> list[list[list[float]]]:
    """For each row, seed and epoch the share of the gain that is left; nan where a loss is.

    Args:
        curves: for each row, one for each seed.
    """
    best = [
        min(loss for curve in seed for loss in curve.losses if not math.isnan(loss))
        for seed in zip(*curves, strict=True)
    ]
    return [
        [
            [(loss - b) / (curve.losses[0] - b) for loss in curve.losses]
            for curve, b in zip(row, best, strict=True)
        ]
        for row in curves
    ]


def _table(curves: Sequence[tuple[Row, Sequence[Curve]]]) -> str:
    shares = left([each for _, each in curves])
    lines: list[dict[str, str]] = []
    for (row, each), gaps in zip(curves, shares, strict=True):
        epochs = len(each[0].losses) - 1
        middle = (epochs + 1) // 2
        lines.append(
            {
                "a step sees": row.data,
                "optimiser": row.method,
                "estimator": f"`{row.solver.label}`",
                "starts": row.starts.value,
                "products, epoch 1": _spread([c.products[1] for c in each], ".0f"),
                f"epoch {epochs}": _spread([c.products[-1] - c.products[-2] for c in each], ".0f"),
                "all": _spread([c.products[-1] for c in each], ".0f"),
                f"left, epoch {middle}": _spread([100 * gap[middle] for gap in gaps], ".1f", " %"),
                f"left, epoch {epochs}": _spread([100 * gap[-1] for gap in gaps], ".1f", " %"),
            }
        )
    align = ("left",) * 4 + ("right",) * 5
    return pd.DataFrame(lines).to_markdown(index=False, colalign=align, disable_numparse=True)


def _spread(values: Sequence[float], form: str, unit: str = "") -> str:
    if any(math.isnan(value) for value in values):
        return "not finite"
    least, most = format(min(values), form), format(max(values), form)
    mean = format(statistics.fmean(values), form)
    return mean + unit if least == most else f"{mean}{unit} ({least}–{most})"
