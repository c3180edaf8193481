"""What the rows of a study come to, as a page in Markdown; pure functions of the rows."""

# The stubs of pandas do not know the types of columns.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportReturnType=false, reportIndexIssue=false, reportOperatorIssue=false
from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np
import pandas as pd

from ...measurement.hypergradient import TOLERANCE

SLACK = 1e-9
"""A bound may fall short of the error by this, relatively, …"""
ROUNDING = 1e-12
"""… and by this share of the exact gradient: what float64 rounds off."""
TARGET = 1.5
"""What ``certified(0.01)`` may cost, as a multiple of the best fixed depth."""


def rows_frame(rows: Sequence[dict[str, object]], part: str) -> pd.DataFrame:
    """The rows of one part, a column for each of their keys, nan for ``None``; empty where there are none."""
    found = (row for row in rows if row["part"] == part)
    return pd.DataFrame([{k: math.nan if v is None else v for k, v in row.items()} for row in found])


def judged(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials with what follows from them.

    Returns:
        The rows with a bound and a reference, and columns ``violated``: the bound is below the error; ``above``: the
        lower bound is above it; ``ranked``: the error is larger than what the reference certifies of itself;
        ``ratio``: bound/error.
    """
    good = trials[trials["status"] == "ok"].copy()
    slack = ROUNDING * good["exact"]
    good["violated"] = ~(good["bound"] >= good["error"] * (1 - SLACK) - slack)
    good["above"] = ~(good["least"] <= good["error"] * (1 + SLACK) + slack)
    good["ranked"] = good["error"] >= TOLERANCE * good["exact"]
    with np.errstate(divide="ignore", invalid="ignore"):
        good["ratio"] = good["bound"] / good["error"]
    return good


def trial_summary(trials: pd.DataFrame, by: Sequence[str] = ("way",)) -> pd.DataFrame:
    """Counts, shares and quantiles of trials.

    Returns:
        A row for each group: ``trials`` that have a bound and a reference; ``no_certificate`` and ``no_reference``
        besides; ``violations`` and their ``share``; ``above``, lower bounds above the error; ``unranked``, errors too
        small for the reference to tell; ``median`` and ``p90`` of bound/error over the others; ``work``, the
        median of applications and products that the certificate took.
    """
    lines = []
    for group, rows in trials.groupby(list(by), sort=False):
        good = judged(rows)
        ratios = good.loc[good["ranked"], "ratio"]
        lines.append(
            dict(zip(by, group, strict=True))
            | {
                "trials": len(good),
                "no_certificate": int((rows["status"] == "no certificate").sum()),
                "no_reference": int((rows["status"] == "no reference").sum()),
                "violations": int(good["violated"].sum()),
                "share": float(good["violated"].mean()) if len(good) else np.nan,
                "above": int(good["above"].sum()),
                "unranked": int((~good["ranked"]).sum()),
                "median": ratios.median(),
                "p90": ratios.quantile(0.9),
                "work": (good["applications"] + good["products"]).median(),
            }
        )
    return pd.DataFrame(lines)


def against_best(depths: pd.DataFrame) -> pd.DataFrame:
    """A row for each task and tolerance: ``certified`` against the cheapest fixed depth, and the cheapest tolerances.

    Returns:
        ``task, rtol``; ``error, bound, cost, looks, met`` of ``certified``; ``fixed`` and ``fixed_cost``,
        ``tolerances`` and ``tolerances_cost``, the calls and costs of the others; ``times_fixed``,
        ``times_tolerances``, the ratios of costs; ``reached``: whether its actual error is within rtol;
        ``estimated_cost`` and ``estimated_error`` of ``certified`` on a map that hides what it knows.
    """
    depths = depths.assign(cost=depths["applications"] + depths["products"])
    lines = []
    for (task, rtol), rows in depths.groupby(["task", "rtol"], sort=False):
        of = {row.kind: row for row in rows.itertuples()}
        own, plain, easy = of["certified"], of["fixed depth"], of["tolerances"]
        hidden = of["certified, estimated"]
        lines.append(
            {
                "task": task,
                "rtol": rtol,
                "error": own.error,
                "bound": own.bound,
                "applications": own.applications,
                "products": own.products,
                "cost": own.cost,
                "looks": own.looks,
                "met": own.met,
                "reached": own.error <= rtol,
                "fixed": plain.call,
                "fixed_cost": plain.cost if plain.call else np.nan,
                "tolerances": easy.call,
                "tolerances_cost": easy.cost if easy.call else np.nan,
                "times_fixed": own.cost / plain.cost if plain.call else np.nan,
                "times_tolerances": own.cost / easy.cost if easy.call else np.nan,
                "estimated_cost": hidden.cost,
                "estimated_error": hidden.error,
            }
        )
    return pd.DataFrame(lines)


def overheads(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares of a step: ``each`` step, every ``20`` and every ``100``; ``spread``, the quartiles of the pairs.

    A certificate taken every n steps costs the n-th part of one taken each step: the others are bare.
    """
    lines = []
    for row in rows.itertuples():
        ratios = np.divide(row.seconds, row.floor)
        each = median(ratios) - (0 if row.way == "audit" else 1)
        low, high = np.quantile(ratios, [0.25, 0.75])
        lines.append(
            {"task": row.task, "solver": row.solver, "way": row.way, "step_ms": 1e3 * median(row.floor)}
            | {"each": each, "20": each / 20, "100": each / 100, "spread": high - low, "pairs": len(ratios)}
        )
    return pd.DataFrame(lines)


def certificates_markdown(rows: Sequence[dict[str, object]], facts: Sequence[str]) -> str:
    """The page. ``facts`` are lines on how it was made."""
    parts = ["# Certificates of gradients, measured\n", "\n".join(f"- {fact}" for fact in facts) + "\n"]
    if len(rigorous := rows_frame(rows, "rigorous")):
        parts.append(_trials_text("Rigorous: every contractive cell of the matrices", rigorous))
    if len(estimates := rows_frame(rows, "estimates")):
        parts.append(
            _trials_text("Estimates: the same with all constants hidden, and plug-and-play", estimates)
        )
    if len(depths := rows_frame(rows, "depths")):
        parts.append(_depths_text(against_best(depths)))
    if len(timed := rows_frame(rows, "overhead")):
        parts.append(_overheads_text(overheads(timed)))
    return "\n".join(parts) + _LEGEND


def _trials_text(title: str, trials: pd.DataFrame) -> str:
    every = trial_summary(trials)
    lines = [
        f"{row.way}: {row.trials} trials, {row.violations} bounds below the actual error ({100 * row.share:.2f} %); "
        f"bound/error has median {row.median:.3g} and 90th percentile {row.p90:.3g}, over the "
        f"{row.trials - row.unranked} trials whose error the reference can tell."
        for row in every.itertuples()
    ]
    table = trial_summary(trials, ("task", "way"))
    shown = pd.DataFrame(
        {
            "task": table["task"],
            "way": table["way"],
            "trials": table["trials"],
            "no certificate": table["no_certificate"],
            "no reference": table["no_reference"],
            "below the error": table["violations"],
            "least above it": table["above"],
            "not ranked": table["unranked"],
            "bound/error, median": [_number(v) for v in table["median"]],
            "90 %": [_number(v) for v in table["p90"]],
            "work": [_number(v) for v in table["work"]],
        }
    )
    return f"## {title}\n\n" + "\n\n".join(lines) + f"\n\n{_pipes(shown)}"


def _depths_text(table: pd.DataFrame) -> str:
    parts = ["## certified(rtol) against the cheapest that could have been chosen\n"]
    for rtol, rows in table.groupby("rtol", sort=False):
        within = rows["times_fixed"] <= TARGET
        parts.append(
            f"### To {rtol:g}\n\nIts actual error is within {rtol:g} on {int(rows['reached'].sum())} of {len(rows)} "
            f"tasks, and it costs at most {TARGET:g} × the best fixed depth on {int(within.sum())} of "
            f"{int(rows['fixed_cost'].notna().sum())}; at most {rows['times_fixed'].max():.2f} ×.\n"
        )
        shown = pd.DataFrame(
            {
                "task": rows["task"],
                "certified": [f"{r.applications:g} + {r.products:g}" for r in rows.itertuples()],
                "looks": rows["looks"],
                "bound": [_number(v) for v in rows["bound"]],
                "actual error": [_number(v) for v in rows["error"]],
                "best fixed depth": [
                    f"{r.fixed}: {r.fixed_cost:.0f}" if r.fixed else "none" for r in rows.itertuples()
                ],
                "×": [_number(v) for v in rows["times_fixed"]],
                "best tolerances": [
                    f"{r.tolerances}: {r.tolerances_cost:.0f}" if r.tolerances else "none"
                    for r in rows.itertuples()
                ],
                "× these": [_number(v) for v in rows["times_tolerances"]],
                "estimated": [
                    f"{r.estimated_cost:g} ({_number(r.estimated_error)})" for r in rows.itertuples()
                ],
            }
        )
        parts.append(_pipes(shown))
    return "\n".join(parts)


def _overheads_text(table: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "task": table["task"],
            "solver": table["solver"],
            "what": table["way"],
            "step, ms": [_number(v) for v in table["step_ms"]],
            "each step": [_percent(v) for v in table["each"]],
            "every 20": [_percent(v) for v in table["20"]],
            "every 100": [_percent(v) for v in table["100"]],
            "quartiles apart": [_percent(v) for v in table["spread"]],
            "pairs": table["pairs"],
        }
    )
    return f"## What it adds to a step\n\n{_pipes(shown)}"


def _pipes(shown: pd.DataFrame) -> str:
    align = ["left" if column in ("task", "way", "solver", "what") else "right" for column in shown]
    return shown.to_markdown(index=False, colalign=align, disable_numparse=True) + "\n"


def _number(value: float) -> str:
    return "—" if np.isnan(value) else f"{value:.3g}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


_LEGEND = """
---
*plain*: the certificate of what the tape of the step left behind. *audit*: that of the distance to a better gradient.
*No certificate*: L, known or measured, is not below 1. *No reference*: the float64 oracle could not certify itself.
*Below the error*: bounds that the actual error exceeds by more than rounding (1e-9 of it, and 1e-12 of the gradient).
*Least above it*: lower bounds that do. *Not ranked*: errors below 1e-10, which the reference cannot tell. *Work*:
applications and products that the certificate took besides the step, median.

*certified*: applications + products. *Looks*: at the regularity of T, about an application each, and not counted.
*Best fixed depth*: the cheapest of unrolled, jfb, restarted_jfb, phantom and neumann whose actual error is
within the tolerance, by trying all of them (see bench/studies/certificates/cheapest_depth.py); *best tolerances*: of
implicit(anderson, gmres), likewise; with what they cost. Nobody can choose them in advance.
*None*: nothing below 1,200. *Estimated*: certified on a
map and a loss that hide what they know, with its actual error.

*What it adds*: medians of interleaved pairs; *itself* is the bare step against itself. Every 20 steps
it is a twentieth.
"""
