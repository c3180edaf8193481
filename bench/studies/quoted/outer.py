"""What the learning study says in README and docs: products until a row has most of what it can gain."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math

import pandas as pd

from ..learning.figure import coloured_rows, short_label
from .references import OUTER, reference_csv

OURS = ("restarted_jfb(6, 0)", "peaceman_rachford(depth=10)", "LBFGS", "warm")
"""Estimator, operator, optimiser and start of the row in README."""
PAPERS = ("restarted_jfb(10, 10)", "forward_backward", "Adam(lr=0.15)", "cold")
"""Those of the paper on restarts."""


def outer() -> str:
    """Products to 99 % of the gain on every task, of the best row of each source and optimiser."""
    steps, summary = reference_csv(f"{OUTER}/steps.csv"), reference_csv(f"{OUTER}/summary.csv")
    tasks = list(dict.fromkeys(summary["task"]))
    lines = [
        f"| products to 99 % | {' | '.join(f'`{task}`' for task in tasks)} |",
        "|---" * (len(tasks) + 1) + "|",
    ]
    for row in coloured_rows(steps):
        costs = summary[summary["row"] == row].set_index("task").loc[tasks]
        cells = [_cost(cost, int(seeds)) for cost, seeds in costs[["products_99", "reached_99"]].to_numpy()]
        lines.append(f"| {short_label(steps, row)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cost(products: float, reached: int) -> str:
    return f"{products:.0f}" if not math.isnan(products) else "not on every seed" if reached else "never"


def headline() -> list[str]:
    """The least and the most products to 99 % of the gain over tasks: of the row in README, and of the paper's."""
    own, papers = (_of(*row) for row in (OURS, PAPERS))
    return [f"{value:.0f}" for part in (own, papers) for value in (part.min(), part.max())]


def _of(estimator: str, operator: str, optimiser: str, start: str) -> pd.Series:
    rows = reference_csv(f"{OUTER}/summary.csv")
    named = (rows["estimator"] == estimator) & (rows["operator"] == operator)
    return rows.loc[named & (rows["optimiser"] == optimiser) & (rows["start"] == start), "products_99"]


def every_task_is_learned() -> bool:
    """Whether the row in README comes to 99 % on every task and seed, and the paper's on some task does not."""
    return bool(_of(*OURS).notna().all()) and bool(_of(*PAPERS).isna().any())
