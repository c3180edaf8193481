"""The tables of README and docs that are made from records."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from ...analysis import cost_at_error
from ...analysis.cost_at_error import WITHIN
from ...analysis.over_seeds import column
from .modality_gain import modality_gain
from .outer import outer
from .published import published_choices, published_gradients, published_psnr
from .references import (
    LEARNING,
    OPERATORS,
    PARETO,
    SMALL,
    cheapest_within,
    counts,
    errors,
    pareto_points,
    past_depth_curves,
    run_setting,
    tidy_reference,
    training_looks,
)

TUNED = "deblurring(huber)"
"""The task on which the settings in README's table are tuned."""
TASKS = [TUNED, "inpainting(huber)", "deblurring(huber(0.01, 0.005))"]
"""Tasks of the pareto reference with L of at least 0.98."""
EVERY = ["denoising(huber)", *TASKS]
TRAINED = {"unrolled(10)": "restarted_jfb(10, 0)", "restarted_jfb(10, 10)": "restarted_jfb(10, 10)"}
"""Solvers in the table of depths, by title; without restarts, restarted JFB is unrolling."""
NETWORKS = {
    "denoising, anisotropic noise": "denoising_colour(drunet{})",
    "inpainting": "inpainting_colour(drunet{})",
    "motion deblurring": "deblurring_colour(drunet{})",
}
LEARNED = {"": "DRUNet, step and level", "(learn_weights=True)": "all weights"}
BUDGETS_ONLY = (
    "deepinv_deq(100, 50)",
    "deepinv_anderson(100, 50)",
    "deepinv_jfb(100)",
    "deepinv_unfolded(100)",
    "torchdeq_ift(100, 50)",
    "torchdeq_anderson(40, 40)",
    "torchdeq_broyden(40, 40)",
)
"""Other libraries' solvers with default settings except for their budgets."""
WARM = (
    "implicit(anderson(0.0005), gmres(0.02))",
    "implicit(anderson(0.0001), gmres(0.003))",
    "deq(0.001)",
    "restarted_jfb(10, 10)",
)


def _table(head: Sequence[str], rule: str, rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], rule, *lines[1:]])


def costs() -> str:
    """One setting of each family, tuned on the deblurring: its cost and its error on every task."""
    return cost_at_error.cost_at_error_markdown(tidy_reference(PARETO), TUNED, TASKS)


def past_depth_rows() -> str:
    """PSNR as trained and at ten times the depth."""
    rows = [
        [f"{task}: {words}", *(depth(call.format(learned), solver) for solver in TRAINED.values())]
        for task, call in NETWORKS.items()
        for learned, words in LEARNED.items()
    ]
    return _table(["PSNR (dB), as trained → at 10 × the depth", *TRAINED], "|---|---|---|", rows)


def depth(heading: str, solver: str) -> str:
    """A cell of ``past_depth_rows``, with the residual if it is above ten tolerances."""
    part = past_depth_curves(SMALL).query("heading == @heading and solver == @solver")
    first, last = (part[part["multiple"] == multiple] for multiple in (1, 10))
    psnr, residual = column(last, "psnr").mean(skipna=False), last["residual"].max()
    trained = f"{column(first, 'psnr').mean(skipna=False):.2f}"
    if residual == math.inf or math.isnan(psnr):
        return f"{trained} → diverged"
    moving = residual > 10 * float(str(run_setting(SMALL, "equilibrium", "tol")))
    return f"{trained} → {psnr:.2f}" + (f" (residual {residual:.1e})" if moving else "")


def cheapest_advised() -> list[str]:
    """The cheapest setting of each advised family that is within 1 % on every task of the pareto table."""
    return [cheapest_within(family, EVERY, WITHIN) for family in ("deq", "implicit")]


def advised_settings() -> str:
    """Errors and products of the advised settings on every task."""

    def cell(task: str, solver: str) -> str:
        if (task, solver) not in pareto_points().index:
            return "–"
        row = pareto_points().loc[(task, solver)]
        return f"{cost_at_error.percent(row['error'])}, {row['work']:.0f}"

    rows = [[f"`{solver}`", *(cell(task, solver) for task in EVERY)] for solver in cheapest_advised()]
    head = ["error, products", *(f"`{task}`" for task in EVERY)]
    return _table(head, "|---" * len(head) + "|", rows)


def external_solvers() -> str:
    """Counts and errors of other libraries' solvers with default settings on the deblurring."""
    rows = [
        [f"`{call}`", *(f"{count:g}" for count in counts(TUNED, call)), *errors(TUNED, call)]
        for call in BUDGETS_ONLY
    ]
    return _table(["call", "applications", "VJPs", "error"], "|:--|--:|--:|--:|", rows)


def warm() -> str:
    """Products of a whole training, with cold and warm starts."""
    tasks = TASKS[:2]
    rows = [
        [f"`{solver}`", *(f"{products(t, solver)} → {products(f'{t}, warm', solver)}" for t in tasks)]
        for solver in WARM
    ]
    return _table(["products, cold → warm", *tasks], "|---|---|---|", rows)


def products(heading: str, solver: str) -> str:
    """Applications + VJPs of a training of the learning reference up to its last test; a dash if there is none."""
    part = training_looks(LEARNING).query("heading == @heading and solver == @solver")
    return f"{part['work'].max():.0f}" if len(part) else "–"


def operators() -> str:
    """One setting of each family and operator, tuned on the deblurring: its cost and its error on every task."""
    return cost_at_error.cost_at_error_markdown(tidy_reference(OPERATORS), TUNED, TASKS)


BLOCKS: dict[str, Callable[[], str]] = {
    "operators": operators,
    "costs": costs,
    "depths": past_depth_rows,
    "advised": advised_settings,
    "peers": external_solvers,
    "warm": warm,
    "published-choices": published_choices,
    "published-gradients": published_gradients,
    "published-psnr": published_psnr,
    "outer": outer,
    "modality-gain": modality_gain,
}
"""Each table by the name in the comment above it."""
