"""The page of a run, put together from its records."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from ...analysis import metrics
from ...analysis.leaderboard import RULE, WITHIN, leaderboard
from ...analysis.pareto import COSTS
from ...analysis.recommendation import candidates
from ...config.profile_schema import profile_names
from ..bound_plot import error_against_bound
from ..family_style import family_styles
from ..leaderboard_table import LEGEND, leaderboard_table
from ..plot import Plot
from ..run_data import RunData
from ..verdict import run_verdict
from . import images, provenance, recommendations, tables, theory
from .downloads import downloads
from .glossary import GLOSSARY
from .render import render
from .vega_lite import Spec, to_vega

SCRIPTS = ("theme.js", "table.js", "advice.js", "plots.js", "panels.js", "address.js")


def render_page(run: RunData, bounds: Path | None = None) -> dict[str, bytes]:
    """``index.html`` and its content; the same records and verdicts give the same bytes.

    Args:
        run: to show.
        bounds: a folder that ``theory_checks`` wrote; ``None`` takes the one that comes with the project.

    Raises:
        UserError: no verdicts in ``bounds``, or vl-convert-python is missing.
    """
    frame, choices = run.frame, candidates(run.frame)
    verdicts = theory.project_verdicts(bounds)
    bound_plot = error_against_bound(verdicts.points) if verdicts and verdicts.points else None
    stored = images.collect(run.images, images.best_solvers(frame))
    marks = list(family_styles(frame).values())
    costs = cost_specs(run.plots.get("pareto"))
    depths, bound_specs = panel_specs(run.plots.get("psnr-past-depth")), panel_specs(bound_plot)
    content = {
        "manifest": run.manifest,
        "verdict": run_verdict(frame, choices),
        "headline": provenance.run_headline(run.records),
        "cards": recommendations.cards(frame, choices),
        "leaderboard": leaderboard_table(leaderboard(frame)),
        "rule": RULE.format(100 * WITHIN),
        "leaderboard_legend": LEGEND,
        "marks": marks,
        "costs": costs,
        "depths": depths,
        "bounds": bound_specs,
        "restarts": bound_plot.styles if bound_plot else {},
        "results": tables.results_table(run.summary),
        "bare_loop": metrics.metric_named("floor_ratio").title,
        "fronts": tables.fronts(run.fronts),
        "past": tables.past(frame),
        "multiples": tables.trajectory_table(run.past),
        "failures": tables.failures(frame),
        "albums": stored.albums,
        "theory": verdicts,
        "facts": provenance.provenance_facts(run.records, run.store, run.manifest),
        "downloads": downloads(dict.fromkeys(frame["heading"]), run.plots, run.images),
        "glossary": GLOSSARY,
        "commands": provenance.commands(run.manifest, profile_names()),
    }
    plots = {f"cost-{i}-{name}": spec for i, of in enumerate(costs.values()) for name, spec in of.items()}
    for kind, specs in (("depth", depths), ("bound", bound_specs)):
        plots |= {f"{kind}-{i}": spec for i, spec in enumerate(specs.values())}
    data = {
        "advice": recommendations.every_answer(frame, choices),
        "marks": [asdict(mark) for mark in marks],
        "costs": [[cost.name, cost.title] for cost in COSTS],
        "plots": plots,
        "albums": [asdict(album) for album in stored.albums],
        "images": stored.images,
    }
    page = render("run.html.j2", run.manifest.profile, {"run": content}, data, SCRIPTS, plots=True)
    return {"index.html": page}


def cost_specs(plot: Plot | None) -> dict[str, dict[str, Spec]]:
    """The panels of ``plots.pareto`` by heading, then by the name of the cost."""
    specs: dict[str, dict[str, Spec]] = {}
    for row in plot.grid if plot else ():
        for cost, panel in zip(COSTS, row, strict=True):
            if plot and panel:
                specs.setdefault(panel.title, {})[cost.name] = to_vega(panel, plot.styles)
    return specs


def panel_specs(plot: Plot | None) -> dict[str, Spec]:
    """The panels of a plot by their titles."""
    return {panel.title: to_vega(panel, plot.styles) for panel in plot.panels} if plot else {}
