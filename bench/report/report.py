"""Tables, figures and the page of a folder of records."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np

from ..analysis import convergence
from ..analysis.tidy import headings, looks, tidy, trajectories
from ..records.record import Record
from ..records.store import Store, load
from ..utils.atomic_files import write_atomically


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
    from .parquet import write_parquet
    from .tables import write_tables

    store = Store(folder)
    records, manifest = load(folder), store.manifest()
    frame, looked, measured = tidy(records), looks(records), scaling.sizes(records)
    written = write_tables(frame, folder / "tables")
    assert manifest is not None, "load has looked"
    written += write_parquet(records, frame, manifest, folder / "tables")
    fronts, fitted = pareto.frontier_table(frame, looked), scaling.fitted_exponents(measured)
    further: dict[str, str] = {}
    if len(fronts):
        further |= {"pareto.csv": fronts.to_csv(index=False), "pareto.md": pareto.frontier_markdown(fronts)}
    if tuned := cost_at_error.sections(frame):
        further["headline.md"] = tuned
    if len(fitted):
        further |= {"growth.csv": fitted.to_csv(index=False), "growth.md": scaling.exponents_markdown(fitted)}
    for name, content in further.items():
        written.append(folder / "tables" / name)
        write_atomically(written[-1], content)
    pictures, words = _pictures(records, store)
    seen = trajectories(records)
    written += write_figures(frame, seen, looked, measured, pictures, words, folder / "figures")
    if importlib.util.find_spec("vl_convert") is None:
        return written
    return [*written, write_page(folder, bounds)]


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
