"""What all rows did, as tidy frames: a line a step, and a line a row with what it took to learn."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false
# pyright: reportOperatorIssue=false
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from .measure import Learned
from .row import Row

SHARES = (0.9, 0.99, 0.999)
"""Shares of the gain that tables tell the cost of."""
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Measured:
    """A row on a task with a seed, and what it did."""

    row: Row
    task: str
    seed: int
    learned: Learned


def step_frame(found: Sequence[Measured]) -> pd.DataFrame:
    """A line for each step of each row, and of the reference.

    Columns: ``task, seed``; ``source, row, operator, estimator, optimiser, start`` of the row; ``step``; ``products,
    seconds, evaluations`` so far; ``loss``, the exact one; ``gap``, what is left of the gain, as a share of it;
    ``tape`` in bytes; ``ended``. The gain is from the first exact loss to the best of any row, or of the reference.
    """
    frames = [_lines(each) for each in found]
    frame = pd.concat(frames, ignore_index=True)
    losses = frame.groupby(["task", "seed"])["loss"]
    best, first = losses.transform("min"), losses.transform("first")
    frame["gap"] = (frame["loss"] - best) / (first - best)
    return frame


def _lines(each: Measured) -> pd.DataFrame:
    row, learned = each.row, each.learned
    return pd.DataFrame(
        {
            "task": each.task,
            "seed": each.seed,
            "source": row.source,
            "row": row.label,
            "operator": row.splitting.label,
            "estimator": row.estimator,
            "optimiser": row.method,
            "start": "warm" if row.warm else "cold",
            "step": range(len(learned.losses)),
            "products": learned.products,
            "seconds": learned.seconds,
            "evaluations": learned.evaluations,
            "loss": learned.losses,
            "tape": learned.tape,
            "ended": learned.ended,
        }
    )


def reference_gaps(frame: pd.DataFrame, reference: Row) -> dict[str, float]:
    """The share of the gain that the reference leaves on the worst seed of each task, from ``step_frame``."""
    own = frame[frame["row"] == reference.label]
    return {str(task): float(part.groupby("seed")["gap"].min().max()) for task, part in own.groupby("task")}


def name_of(share: float) -> str:
    """The name of a share in columns: ``90``, ``99.9``."""
    return f"{100 * share:g}"


def reached(steps: pd.DataFrame, share: float, column: str) -> float:
    """The value of ``column`` at the first step of a row with that share of the gain; nan if there is none.

    Args:
        steps: of one row, task and seed, in order.
        share: of the gain.
        column: such as ``products``.
    """
    # Written so that a nan is no success.
    there = steps.loc[steps["gap"] <= 1 - share, column]
    return float(there.iloc[0]) if len(there) else math.nan


def summary_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A line for each task and row; means over the seeds, nan if one of them never gets there.

    Columns: ``task, source, row, operator, estimator, optimiser, start, seeds``; for each share ``products_90``, with
    ``products_90_least`` and ``…_most`` over the seeds that get there, ``reached_90``, their number, and
    ``seconds_90``; ``gap``, the smallest that is left on the worst seed; ``tape``, bytes on the worst seed;
    ``rises``, number of steps of all seeds whose exact loss is above the one before, and ``steps``, that of all;
    ``products``, mean of all that were spent; ``ended`` on each seed.
    """
    names = ["task", "source", "row", "operator", "estimator", "optimiser", "start"]
    return pd.DataFrame(
        dict(zip(names, key, strict=True)) | _summary(part) for key, part in frame.groupby(names, sort=False)
    )


def _summary(part: pd.DataFrame) -> dict[str, object]:
    seeds = [steps for _, steps in part.groupby("seed")]
    values: dict[str, object] = {"seeds": len(seeds)}
    for share in SHARES:
        products = pd.Series([reached(steps, share, "products") for steps in seeds], dtype=float)
        seconds = pd.Series([reached(steps, share, "seconds") for steps in seeds], dtype=float)
        name = name_of(share)
        values |= {
            f"products_{name}": products.mean(skipna=False),
            f"products_{name}_least": products.min(),
            f"products_{name}_most": products.max(),
            f"reached_{name}": int(products.count()),
            f"seconds_{name}": seconds.mean(skipna=False),
        }
    left = [float(steps["gap"].min()) for steps in seeds]
    spent = [float(steps["products"].iloc[-1]) for steps in seeds]
    return values | {
        "gap": max(left),
        "rises": sum(int((steps["loss"].diff() > 0).sum()) for steps in seeds),
        "steps": sum(len(steps) - 1 for steps in seeds),
        "tape": max(int(steps["tape"].iloc[0]) for steps in seeds),
        "products": sum(spent) / len(spent),
        "ended": "; ".join(dict.fromkeys(str(steps["ended"].iloc[0]) for steps in seeds)),
    }
