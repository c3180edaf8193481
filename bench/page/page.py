"""The page of a run: what its records say, put together."""

# The stubs of pandas know neither the types of columns nor those of rows.
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false
from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from .. import pareto
from ..files import write_atomically
from ..frame import looks, tidy, trajectories
from ..matrix import profile_names
from ..records import Manifest, Record, Store
from ..report import load
from . import cards, facts, grids, lines, pictures, plots, theory
from .marks import Mark, marks
from .pictures import Pictures
from .render import render
from .specs import Spec

SCRIPTS = ("theme.js", "table.js", "advice.js", "plots.js", "panels.js")


@dataclass(frozen=True, slots=True)
class Run:
    """What the page of a run shows; the names are those of its template."""

    manifest: Manifest
    headline: str
    cards: list[cards.Card]
    marks: list[Mark]
    costs: dict[str, dict[str, Spec]]
    depths: dict[str, Spec]
    bounds: dict[str, Spec]
    restarts: dict[str, str]
    results: grids.Grid
    fronts: grids.Grid
    past: grids.Grid
    multiples: grids.Grid
    failures: grids.Grid
    pictures: Pictures
    theory: theory.Theory | None
    facts: list[facts.Fact]
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
    write_atomically(file, page_of(folder, bounds))
    return file


def page_of(folder: Path, bounds: Path | None = None) -> bytes:
    """The bytes that ``write_page`` writes."""
    records, store = load(folder), Store(folder)
    manifest = store.manifest()
    assert manifest is not None  # or load would have said so
    frame = tidy(records)
    run = _run(records, frame, store, manifest, theory.given(bounds))
    data = {
        "advice": cards.data(frame),
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
) -> Run:
    seen, families = trajectories(records), marks(frame)
    good = frame[frame["status"] == "ok"]
    depths = ((r["heading"], r["solver"], float(r["psnr"])) for _, r in good.iterrows())
    return Run(
        manifest=manifest,
        headline=facts.headline(records),
        cards=cards.cards(frame),
        marks=families,
        costs=plots.costs_of(frame, families),
        depths=lines.depths_of(seen, families),
        bounds=lines.bounds_of(known.points) if known else {},
        restarts=lines.restarts_of(known.points) if known else {},
        results=grids.results(frame),
        fronts=grids.fronts(pareto.table(frame, looks(records))),
        past=grids.past(frame),
        multiples=grids.trajectories(seen),
        failures=grids.failures(frame),
        pictures=pictures.collect(pictures.read(records, store.rows), pictures.best_depths(depths)),
        theory=known,
        facts=facts.provenance(records, store, manifest),
        commands=facts.commands(manifest, profile_names()),
    )
