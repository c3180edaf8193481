"""Tables, figures and the page of a folder of records."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from ..utils.atomic_files import make_folder, write_atomically
from .run_data import RunData, read_run


def write_report(folder: Path, bounds: Path | None = None) -> list[Path]:
    """Write ``tables/``, ``figures/`` and ``index.html`` into the folder of a run; same records, same bytes.

    Everything is rendered before the first file is written.

    Args:
        folder: folder of the run.
        bounds: folder with verdicts of the theory for the page (see ``page.render_page``).

    Returns:
        The files; the page last, if there is one.

    Raises:
        UserError: there is no run, no record of quality, or no verdicts in ``bounds``.
        Unwritable: the disk is full, or may only be read.
    """
    return write_files(folder, render_report(read_run(folder), bounds))


def render_report(run: RunData, bounds: Path | None = None) -> dict[str, str | bytes]:
    """Contents of a report by path relative to the folder of the run.

    Without vl-convert-python, which draws its plots, there is no page: a machine that is lent with a GPU and without a
    network may lack these 32 MiB, and ``bench report`` makes the page elsewhere.
    """
    # Imported here: matplotlib and seaborn take a second that no other command should wait for.
    from .figures import render_figures
    from .page import render_page
    from .parquet import render_parquet
    from .tables import render_tables

    contents: dict[str, str | bytes] = {**render_tables(run.frame, run.summary)}
    contents |= render_parquet(run.records, run.frame, run.manifest)
    contents |= {f"tables/{name}": text for name, text in _summaries(run).items()}
    figures = render_figures(run.plots.values(), run.frame, run.images)
    contents |= {f"figures/{name}": content for name, content in figures.items()}
    return contents if importlib.util.find_spec("vl_convert") is None else contents | render_page(run, bounds)


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
    """Why a report in ``folder`` has no page, and what to do."""
    return f"no page: vl-convert-python is missing; 'python -m bench report {folder}' makes it where it is installed"


def _summaries(run: RunData) -> dict[str, str]:
    """Tables of fronts, of costs at an error, and of exponents, if there are enough measurements."""
    from ..analysis import cost_at_error, pareto, scaling

    fronts, exponents = run.fronts, scaling.fitted_exponents(run.sizes)
    texts = {"headline.md": cost_at_error.sections(run.frame)}
    if len(fronts):
        texts |= {"pareto.csv": fronts.to_csv(index=False), "pareto.md": pareto.frontier_markdown(fronts)}
    if len(exponents):
        texts |= {
            "growth.csv": exponents.to_csv(index=False),
            "growth.md": scaling.exponents_markdown(exponents),
        }
    return {name: text for name, text in texts.items() if text}
