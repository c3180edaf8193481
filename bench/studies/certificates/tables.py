"""The rows of a certificate study as a page in Markdown; pure functions of the rows."""

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
"""Fraction of the error by which a bound may fall short of it, …"""
ROUNDING = 1e-12
"""… plus this fraction of the exact gradient: rounding of float64."""
TARGET = 1.5
"""Cost that the page allows ``certified``, as a multiple of the best fixed depth."""
OWN = ("error", "bound", "applications", "products", "cost", "looks", "met")
"""Columns of ``certified`` itself."""
TRIAL_TITLES = {
    "task": "task",
    "way": "way",
    "trials": "trials",
    "no_certificate": "no certificate",
    "no_reference": "no reference",
    "violations": "below the error",
    "above": "least above it",
    "unranked": "not ranked",
    "median": "bound/error, median",
    "p90": "90 %",
    "work": "work",
}
DEPTH_TITLES = {
    "task": "task",
    "certified": "certified",
    "looks": "looks",
    "bound": "bound",
    "error": "actual error",
    "fixed": "best fixed depth",
    "times_fixed": "×",
    "tolerances": "best tolerances",
    "times_tolerances": "× these",
    "estimated": "estimated",
}
OVERHEAD_TITLES = {
    "task": "task",
    "solver": "solver",
    "way": "what",
    "step_ms": "step, ms",
    "each": "each step",
    "20": "every 20",
    "100": "every 100",
    "spread": "quartiles apart",
    "pairs": "pairs",
}


def rows_frame(rows: Sequence[dict[str, object]], part: str) -> pd.DataFrame:
    """The rows of one part, a column for each key, nan for ``None``; empty if the part has no rows."""
    chosen = (row for row in rows if row["part"] == part)
    return pd.DataFrame([{k: math.nan if v is None else v for k, v in row.items()} for row in chosen])


def judged(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with a bound and a reference, with four more columns.

    ``violated``: the bound is below the error. ``above``: the lower bound is above it. ``ranked``: the error is larger
    than the error of the reference. ``ratio``: bound/error.
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
    """Counts and quantiles of trials, a row for each group.

    Columns: ``trials`` with a bound and a reference; ``no_certificate`` and ``no_reference``, the others;
    ``violations`` and their ``share``; ``above``, lower bounds above the error; ``unranked``, errors below that of the
    reference; ``median`` and ``p90`` of bound/error over ranked trials; ``work``, the median of applications and
    products that the certificate took.
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
    """``certified`` against the cheapest depth and the cheapest tolerances, a row for each task and tolerance.

    Columns: ``task, rtol``; ``error, bound, applications, products, cost, looks, met`` of ``certified``; ``fixed`` and
    ``fixed_cost``, ``tolerances`` and ``tolerances_cost``, labels and costs of the others; ``times_fixed`` and
    ``times_tolerances``, ratios of costs; ``reached``: whether the actual error is within rtol; ``estimated_cost`` and
    ``estimated_error`` of ``certified`` on a map that hides its constants.
    """
    depths = depths.assign(cost=depths["applications"] + depths["products"])
    lines = []
    for (task, rtol), rows in depths.groupby(["task", "rtol"], sort=False):
        by_kind = {row.kind: row for row in rows.itertuples()}
        own, hidden = by_kind["certified"], by_kind["certified, estimated"]
        line = {name: getattr(own, name) for name in OWN} | {"task": task, "rtol": rtol}
        line |= {"reached": own.error <= rtol}
        line |= {"estimated_cost": hidden.cost, "estimated_error": hidden.error}
        for name, kind in (("fixed", "fixed depth"), ("tolerances", "tolerances")):
            best = by_kind[kind]
            cost = best.cost if best.call else np.nan
            line |= {name: best.call, f"{name}_cost": cost, f"times_{name}": own.cost / cost}
        lines.append(line)
    return pd.DataFrame(lines)


def overheads(rows: pd.DataFrame) -> pd.DataFrame:
    """Cost of a certificate as a fraction of a step: at ``each`` step, every ``20`` and every ``100``.

    A certificate every n steps costs the n-th part. ``spread`` is the interquartile range over the ``pairs``.
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
    """The page; ``facts`` are lines on how the rows were measured."""
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
    lines = [
        f"{row.way}: {row.trials} trials, {row.violations} bounds below the actual error ({100 * row.share:.2f} %); "
        f"bound/error has median {row.median:.3g} and 90th percentile {row.p90:.3g}, over the "
        f"{row.trials - row.unranked} trials whose error the reference can tell."
        for row in trial_summary(trials).itertuples()
    ]
    table = trial_summary(trials, ("task", "way"))
    for name in ("median", "p90", "work"):
        table[name] = table[name].map(_number)
    return f"## {title}\n\n" + "\n\n".join(lines) + f"\n\n{_pipes(table.drop(columns='share'), TRIAL_TITLES)}"


def _depths_text(table: pd.DataFrame) -> str:
    table = table.assign(
        certified=[f"{r.applications:g} + {r.products:g}" for r in table.itertuples()],
        fixed=[f"{r.fixed}: {r.fixed_cost:.0f}" if r.fixed else "none" for r in table.itertuples()],
        tolerances=[
            f"{r.tolerances}: {r.tolerances_cost:.0f}" if r.tolerances else "none" for r in table.itertuples()
        ],
        estimated=[f"{r.estimated_cost:g} ({_number(r.estimated_error)})" for r in table.itertuples()],
    )
    parts = ["## certified(rtol) against the cheapest that could have been chosen\n"]
    for rtol, rows in table.groupby("rtol", sort=False):
        within = rows["times_fixed"] <= TARGET
        parts.append(
            f"### To {rtol:g}\n\nIts actual error is within {rtol:g} on {int(rows['reached'].sum())} of {len(rows)} "
            f"tasks, and it costs at most {TARGET:g} × the best fixed depth on {int(within.sum())} of "
            f"{int(rows['fixed_cost'].notna().sum())}; at most {rows['times_fixed'].max():.2f} ×.\n"
        )
        numbers = {
            name: rows[name].map(_number) for name in ("bound", "error", "times_fixed", "times_tolerances")
        }
        parts.append(_pipes(rows.assign(**numbers), DEPTH_TITLES))
    return "\n".join(parts)


def _overheads_text(table: pd.DataFrame) -> str:
    shares = {name: table[name].map(_percent) for name in ("each", "20", "100", "spread")}
    table = table.assign(step_ms=table["step_ms"].map(_number), **shares)
    return f"## What it adds to a step\n\n{_pipes(table, OVERHEAD_TITLES)}"


def _pipes(table: pd.DataFrame, titles: dict[str, str]) -> str:
    """The columns in ``titles``, in their order and under their titles, as a Markdown table."""
    align = ["left" if name in ("task", "way", "solver") else "right" for name in titles]
    text = table[list(titles)].rename(columns=titles)
    return text.to_markdown(index=False, colalign=align, disable_numparse=True) + "\n"


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
