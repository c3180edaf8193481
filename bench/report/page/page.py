"""The page of a run, put together from its records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from ...analysis import metrics
from ...analysis.pareto import COSTS, frontier_table
from ...analysis.recommendation import Candidate, candidates
from ...config.profile_schema import profile_names
from ...records.store import Manifest
from ..bound_plot import error_against_bound
from ..family_style import FamilyStyle, family_styles
from ..plot import Plot, Styles
from ..run_data import RunData
from . import images, provenance, recommendations, tables, theory
from .render import render
from .vega_lite import Spec, to_vega

SCRIPTS = ("theme.js", "table.js", "advice.js", "plots.js", "panels.js")


@dataclass(frozen=True, slots=True)
class PageContent:
    """What the page of a run shows, by the names in its template."""

    manifest: Manifest
    headline: str
    cards: list[recommendations.RecommendationCard]
    marks: list[FamilyStyle]
    costs: dict[str, dict[str, Spec]]
    depths: dict[str, Spec]
    bounds: dict[str, Spec]
    restarts: Styles
    results: tables.HtmlTable
    bare_loop: str
    fronts: tables.HtmlTable
    past: tables.HtmlTable
    multiples: tables.HtmlTable
    failures: tables.HtmlTable
    albums: tuple[images.ImageSet, ...]
    theory: theory.Theory | None
    facts: list[provenance.ProvenanceEntry]
    commands: list[str]


def render_page(run: RunData, bounds: Path | None = None) -> dict[str, bytes]:
    """``index.html`` and its content; the same records and verdicts give the same bytes.

    Args:
        run: to show.
        bounds: a folder that ``theory_checks`` wrote; ``None`` takes the one that comes with the project.

    Raises:
        UserError: no verdicts in ``bounds``, or vl-convert-python is missing.
    """
    choices = candidates(run.frame)
    content, pictures = _content(run, choices, theory.project_verdicts(bounds))
    data = {
        "advice": recommendations.every_answer(run.frame, choices),
        "marks": [asdict(mark) for mark in content.marks],
        "costs": [[cost.name, cost.title] for cost in COSTS],
        "plots": {
            **{
                f"cost-{i}-{name}": spec
                for i, specs in enumerate(content.costs.values())
                for name, spec in specs.items()
            },
            **{f"depth-{i}": spec for i, spec in enumerate(content.depths.values())},
            **{f"bound-{i}": spec for i, spec in enumerate(content.bounds.values())},
        },
        "albums": [asdict(album) for album in content.albums],
        "images": pictures,
    }
    page = render("run.html.j2", run.manifest.profile, {"run": content}, data, SCRIPTS, plots=True)
    return {"index.html": page}


def _content(
    run: RunData, choices: dict[str, list[Candidate]], verdicts: theory.Theory | None
) -> tuple[PageContent, dict[str, str]]:
    """What the page shows, and its images by digest."""
    stored = images.collect(run.images, images.best_solvers(run.frame))
    bound_plot = error_against_bound(verdicts.points) if verdicts and verdicts.points else None
    content = PageContent(
        manifest=run.manifest,
        headline=provenance.run_headline(run.records),
        cards=recommendations.cards(run.frame, choices),
        marks=list(family_styles(run.frame).values()),
        costs=cost_specs(run.plots.get("pareto")),
        depths=panel_specs(run.plots.get("psnr-past-depth")),
        bounds=panel_specs(bound_plot),
        restarts=bound_plot.styles if bound_plot else {},
        results=tables.results_table(run.frame),
        bare_loop=metrics.named("floor_ratio").title,
        fronts=tables.fronts(frontier_table(run.frame, run.looked)),
        past=tables.past(run.frame),
        multiples=tables.trajectory_table(run.past),
        failures=tables.failures(run.frame),
        albums=stored.albums,
        theory=verdicts,
        facts=provenance.provenance_entries(run.records, run.store, run.manifest),
        commands=provenance.commands(run.manifest, profile_names()),
    )
    return content, stored.images


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
