"""The page of a run: what its records say, put together."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from ...analysis import pareto
from ...analysis.tidy import looks, tidy, trajectories
from ...config.profile_schema import profile_names
from ...records.record import Record
from ...records.store import Manifest, Store, load
from ...utils.atomic_files import write_atomically
from . import cost_plots, depth_plots, images, provenance, recommendations, tables, theory
from .family_style import FamilyStyle, marks
from .images import StoredImages
from .render import render
from .vega_lite import Spec

SCRIPTS = ("theme.js", "table.js", "advice.js", "plots.js", "panels.js")


@dataclass(frozen=True, slots=True)
class RunPage:
    """What the page of a run shows; the names are those of its template."""

    manifest: Manifest
    headline: str
    cards: list[recommendations.RecommendationCard]
    marks: list[FamilyStyle]
    costs: dict[str, dict[str, Spec]]
    depths: dict[str, Spec]
    bounds: dict[str, Spec]
    restarts: dict[str, str]
    results: tables.HtmlTable
    fronts: tables.HtmlTable
    past: tables.HtmlTable
    multiples: tables.HtmlTable
    failures: tables.HtmlTable
    pictures: StoredImages
    theory: theory.Theory | None
    facts: list[provenance.ProvenanceEntry]
    commands: list[str]


def write_page(folder: Path, bounds: Path | None = None) -> Path:
    """Write ``index.html`` into the folder of a run; the same records and verdicts give the same bytes.

    Args:
        folder: of the run.
        bounds: a folder that ``theory_checks`` wrote; ``None`` takes the one that comes with the project.

    Returns:
        The page.

    Raises:
        UserError: there is no run, no record of quality, or no verdicts in ``bounds``.
    """
    file = folder / "index.html"
    write_atomically(file, run_page(folder, bounds))
    return file


def run_page(folder: Path, bounds: Path | None = None) -> bytes:
    """The bytes that ``write_page`` writes."""
    records, store = load(folder), Store(folder)
    manifest = store.manifest()
    assert manifest is not None  # or load would have said so
    frame = tidy(records)
    run = _run(records, frame, store, manifest, theory.given(bounds))
    data = {
        "advice": recommendations.data(frame),
        "marks": [asdict(mark) for mark in run.marks],
        "plots": {
            f"cost-{i}-{name}": spec
            for i, each in enumerate(run.costs.values())
            for name, spec in each.items()
        }
        | {f"depth-{i}": spec for i, spec in enumerate(run.depths.values())}
        | {f"bound-{i}": spec for i, spec in enumerate(run.bounds.values())},
        "albums": [asdict(album) for album in run.pictures.albums],
        "images": run.pictures.images,
    }
    return render("run.html.j2", manifest.profile, {"run": run}, data, SCRIPTS, plots=True)


def _run(
    records: list[Record], frame: pd.DataFrame, store: Store, manifest: Manifest, known: theory.Theory | None
) -> RunPage:
    seen, families = trajectories(records), marks(frame)
    good = frame[frame["status"] == "ok"]
    depths = ((r["heading"], r["solver"], float(r["psnr"])) for _, r in good.iterrows())
    return RunPage(
        manifest=manifest,
        headline=provenance.run_headline(records),
        cards=recommendations.cards(frame),
        marks=families,
        costs=cost_plots.costs_of(frame, families),
        depths=depth_plots.depths_of(seen, families),
        bounds=depth_plots.bounds_of(known.points) if known else {},
        restarts=depth_plots.restarts_of(known.points) if known else {},
        results=tables.results_table(frame),
        fronts=tables.fronts(pareto.frontier_table(frame, looks(records))),
        past=tables.past(frame),
        multiples=tables.trajectory_table(seen),
        failures=tables.failures(frame),
        pictures=images.collect(images.read_images(records, store.rows), images.best_depths(depths)),
        theory=known,
        facts=provenance.provenance_entries(records, store, manifest),
        commands=provenance.commands(manifest, profile_names()),
    )
