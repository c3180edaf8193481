"""Tables, figures and the page of a folder of records."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..analysis import convergence
from ..analysis.tidy import headings, looks, tidy, trajectories
from ..records.record import Record
from ..records.store import Store, load
from ..utils.atomic_files import make_folder, write_atomically


def write_report(folder: Path, bounds: Path | None = None) -> list[Path]:
    """Write ``tables/``, ``figures/`` and ``index.html`` into the folder of a run; same records, same bytes.

    Without vl-convert-python, which draws its plots, there is no page: a machine that is lent with a GPU and without a
    network may lack these 32 MiB, and ``bench report`` makes the page elsewhere.

    Args:
        folder: of the run.
        bounds: verdicts that the page shows, as ``page.write_page`` takes them.

    Returns:
        The files; the page last, if there is one.
    """
    # Here, not above: matplotlib and seaborn take a second that no other command should wait for.
    from ..analysis import cost_at_error, pareto, scaling
    from .figures import write_figures
    from .page import write_page
    from .parquet import render_parquet
    from .tables import render_tables

    store = Store(folder)
    records, manifest = load(folder), store.manifest()
    frame, looked, measured = tidy(records), looks(records), scaling.sizes(records)
    assert manifest is not None, "load has looked"
    contents: dict[str, str | bytes] = {**render_tables(frame), **render_parquet(records, frame, manifest)}
    fronts, fitted = pareto.frontier_table(frame, looked), scaling.fitted_exponents(measured)
    if len(fronts):
        contents["tables/pareto.csv"] = fronts.to_csv(index=False)
        contents["tables/pareto.md"] = pareto.frontier_markdown(fronts)
    if tuned := cost_at_error.sections(frame):
        contents["tables/headline.md"] = tuned
    if len(fitted):
        contents["tables/growth.csv"] = fitted.to_csv(index=False)
        contents["tables/growth.md"] = scaling.exponents_markdown(fitted)
    written = write_files(folder, contents)
    pictures, words = _pictures(records, store)
    seen = trajectories(records)
    written += write_figures(frame, seen, looked, measured, pictures, words, folder / "figures")
    if importlib.util.find_spec("vl_convert") is None:
        return written
    return [*written, write_page(folder, bounds)]


def write_files(folder: Path, contents: Mapping[str, str | bytes]) -> list[Path]:
    """Write files by their paths relative to ``folder``, each whole or not at all; missing folders are made.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    for parent in dict.fromkeys((folder / name).parent for name in contents):
        make_folder(parent)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def no_page(folder: Path) -> str:
    """In a line, why a report in ``folder`` has no page, and what to do."""
    return f"no page: vl-convert-python is missing; 'python -m bench report {folder}' makes it where it is installed"


Place = tuple[str, str]
"""Heading and solver."""


def _pictures(
    records: list[Record], store: Store
) -> tuple[dict[Place, dict[str, np.ndarray]], dict[Place, str]]:
    """The pictures of the last seed that has some, and what their equilibrium is called."""
    found: dict[Place, dict[str, np.ndarray]] = {}
    words: dict[Place, str] = {}
    shown = headings(records)
    for record in records:
        file = store.rows / f"{record.key}.npz"
        if record.status == "ok" and file.is_file():
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
                heading = shown[record.task, record.crop, record.batch]
                found[heading, record.solver] = {name: arrays[name] for name in arrays.files}
                words[heading, record.solver] = convergence.equilibrium_words(record)
    return found, words
