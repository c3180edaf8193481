"""The tables of README and docs that are made from records."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from ...analysis import cost_at_error
from ...analysis.cost_at_error import WITHIN
from ...analysis.over_seeds import column
from .references import PARETO, everywhere, pareto_points, run_setting, seen, tidy_reference

TUNED = "deblurring(huber)"
"""The task that settings of the table in README are tuned on."""
TASKS = [TUNED, "inpainting(huber)", "deblurring(huber(0.01, 0.005))"]
"""Those of the pareto reference with L from 0.98."""
TRAINED = {"unrolled(10)": "restarted_jfb(10, 0)", "restarted_jfb(10, 10)": "restarted_jfb(10, 10)"}
"""What the table of depths compares, by the solver that the profile runs: no restarts are unrolling."""
NETWORKS = {
    "denoising, anisotropic noise": "denoising_colour(drunet{})",
    "inpainting": "inpainting_colour(drunet{})",
    "motion deblurring": "deblurring_colour(drunet{})",
}
LEARNED = {"": "DRUNet, step and level", "(learn_weights=True)": "all weights"}
COME = (
    "deepinv_deq(100, 50)",
    "deepinv_anderson(100, 50)",
    "deepinv_jfb(100)",
    "deepinv_unfolded(100)",
    "torchdeq_ift(100, 50)",
    "torchdeq_anderson(40, 40)",
    "torchdeq_broyden(40, 40)",
)
"""Other libraries with no more than their budgets set."""
WARM = (
    "implicit(anderson(0.0005), gmres(0.02))",
    "implicit(anderson(0.0001), gmres(0.003))",
    "deq(0.001)",
    "restarted_jfb(10, 10)",
)


def costs() -> str:
    """One setting a family, tuned on the deblurring, and what it costs and errs on the others."""
    return cost_at_error.cost_at_error_markdown(tidy_reference("pareto-cpu"), TUNED, TASKS)


def past_depth_rows() -> str:
    """PSNR as trained and at ten times the depth; what has not settled there says so."""
    lines = [f"| PSNR (dB), as trained → at 10 × the depth | {' | '.join(TRAINED)} |", "|---|---|---|"]
    for task, call in NETWORKS.items():
        for learned, words in LEARNED.items():
            heading = call.format(learned)
            cells = [depth(heading, solver) for solver in TRAINED.values()]
            lines.append(f"| {task}: {words} | {' | '.join(cells)} |")
    return "\n".join(lines)


def depth(heading: str, solver: str) -> str:
    """A cell of ``past_depth_rows``."""
    part = seen("paper-small-cpu").query("heading == @heading and solver == @solver")
    first, last = (part[part["multiple"] == m] for m in (1, 10))
    ends, residual = column(last, "psnr").mean(skipna=False), last["residual"].max()
    trained = f"{column(first, 'psnr').mean(skipna=False):.2f}"
    if residual == math.inf or math.isnan(ends):
        return f"{trained} → diverged"
    moving = residual > 10 * float(str(run_setting("paper-small-cpu", "equilibrium", "tol")))
    return f"{trained} → {ends:.2f}" + (f" (residual {residual:.1e})" if moving else "")


def advised_settings() -> str:
    """Errors and products of the settings that the page names, on every task of the table they are drawn from."""

    found, shown = pareto_points("pareto-cpu"), ["denoising(huber)", *TASKS]
    lines = [
        f"| error, products | {' | '.join(f'`{task}`' for task in shown)} |",
        "|---" * (len(shown) + 1) + "|",
    ]
    for solver in cheapest_advised():
        cells = [_error(found, task, solver) for task in shown]
        lines.append(f"| `{solver}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _error(found: pd.DataFrame, task: str, solver: str) -> str:
    if (task, solver) not in found.index:
        return "–"
    row = found.loc[(task, solver)]
    return f"{cost_at_error.percent(row['error'])}, {row['work']:.0f}"


def peers() -> str:
    """What other libraries do as they come, on the deblurring."""
    lines = ["| call | applications | VJPs | error |", "|:--|--:|--:|--:|"]
    found = tidy_reference("pareto-cpu").query("heading == @TUNED").set_index("solver")
    for call in COME:
        row = found.loc[call]
        error = cost_at_error.percent(pareto_points("pareto-cpu").loc[(TUNED, call), "error"])
        lines.append(f"| `{call}` | {row['applications']:g} | {row['vjps']:g} | {error} |")
    return "\n".join(lines)


def warm() -> str:
    """Products of a training to its last step, cold and warm."""
    tasks = ["deblurring(huber)", "inpainting(huber)"]
    lines = [f"| products, cold → warm | {' | '.join(tasks)} |", "|---|---|---|"]
    for solver in WARM:
        cells = [f"{products(task, solver)} → {products(f'{task}, warm', solver)}" for task in tasks]
        lines.append(f"| `{solver}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def products(heading: str, solver: str) -> str:
    """Applications + VJPs of a training of the learning reference until its last look; a dash where there is none."""
    from .references import looked_rows

    part = looked_rows("learning-cpu").query("heading == @heading and solver == @solver")
    return f"{part['work'].max():.0f}" if len(part) else "–"


BLOCKS: dict[str, Callable[[], str]] = {
    "costs": costs,
    "depths": past_depth_rows,
    "advised": advised_settings,
    "peers": peers,
    "warm": warm,
}
"""By the name in the mark above them."""


EVERY = ["denoising(huber)", *TASKS]


def cheapest_advised() -> list[str]:
    """Of each family that is advised the cheapest setting that is within 1 % on every task of the pareto table."""
    return [everywhere(PARETO, family, EVERY, WITHIN) for family in ("deq", "implicit")]
