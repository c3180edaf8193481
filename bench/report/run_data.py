"""A run, read once for all that is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..analysis import pareto, scaling
from ..analysis.tidy import looks, tidy, trajectories
from ..records.record import Record
from ..records.store import Manifest, Store, load
from .images import SolverImages, read_images
from .plot import Plot
from .plots import run_plots
from .summary import summarise


@dataclass(frozen=True, slots=True)
class RunData:
    """The records of a run, and what follows from them.

    Attributes:
        store, manifest, records: of the folder.
        frame, past, looked: of ``tidy.tidy``, ``tidy.trajectories`` and ``tidy.looks``.
        sizes: of ``scaling.sizes``.
        summary: of ``summary.summarise``.
        fronts: of ``pareto.frontier_table``.
        plots: every plot that there are measurements for, by name.
        images: test images by heading and solver.
    """

    store: Store
    manifest: Manifest
    records: list[Record]
    frame: pd.DataFrame
    past: pd.DataFrame
    looked: pd.DataFrame
    sizes: pd.DataFrame
    summary: pd.DataFrame
    fronts: pd.DataFrame
    plots: dict[str, Plot]
    images: dict[str, dict[str, SolverImages]]


def read_run(folder: Path) -> RunData:
    """Read the folder of a run. Raises ``UserError`` if there is no run or no record of quality in it."""
    records, store = load(folder), Store(folder)
    manifest = store.manifest()
    assert manifest is not None, "load has looked"
    frame, past, looked, sizes = tidy(records), trajectories(records), looks(records), scaling.sizes(records)
    return RunData(
        store,
        manifest,
        records,
        frame,
        past,
        looked,
        sizes,
        summary=summarise(frame),
        fronts=pareto.frontier_table(frame, looked),
        plots={plot.name: plot for plot in run_plots(frame, past, looked, sizes)},
        images=read_images(records, store.rows),
    )
