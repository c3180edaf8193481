"""Tables, figures and the page of a folder of records."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..utils.atomic_files import make_folder, write_atomically
from .run_data import RunData, read_run


def write_report(folder: Path, bounds: Path | None = None) -> list[Path]:
    """Write ``tables/``, ``figures/`` and ``index.html`` into the folder of a run; same records, same bytes.

    Nothing is written before everything was rendered.

    Args:
        folder: of the run.
        bounds: folder of verdicts that the page shows, as of ``page.render_page``.

    Returns:
        The files; the page last, if there is one.

    Raises:
        UserError: there is no run, no record of quality, or no verdicts in ``bounds``.
        Unwritable: the disk is full, or may only be read.
    """
    contents = render_report(read_run(folder), bounds)
    for name in dict.fromkeys(Path(name).parent for name in contents):
        make_folder(folder / name)
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def render_report(run: RunData, bounds: Path | None = None) -> dict[str, str | bytes]:
    """The files of a report by their names in the folder of the run.

    Without vl-convert-python, which draws its plots, there is no page: a machine that is lent with a GPU and without a
    network may lack these 32 MiB, and ``bench report`` makes the page elsewhere.
    """
    from .figures import render_figures
    from .page import render_page

    tables = _rendered_tables(run) | _summaries(run)
    figures = render_figures(run.plots.values(), run.frame, run.images)
    contents: dict[str, str | bytes] = {f"tables/{name}": content for name, content in tables.items()}
    contents |= {f"figures/{name}": content for name, content in figures.items()}
    return contents if importlib.util.find_spec("vl_convert") is None else contents | render_page(run, bounds)


def no_page(folder: Path) -> str:
    """Why a report in ``folder`` has no page, and what to do."""
    return f"no page: vl-convert-python is missing; 'python -m bench report {folder}' makes it where it is installed"


def _rendered_tables(run: RunData) -> dict[str, str | bytes]:
    from .parquet import write_parquet
    from .tables import write_tables

    return _contents(lambda folder: write_tables(run.frame, folder)) | _contents(
        lambda folder: write_parquet(run.records, run.frame, run.manifest, folder)
    )


def _contents(write: Callable[[Path], list[Path]]) -> dict[str, str | bytes]:
    """The contents of files by name, in the order in which ``write`` writes them into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        return {file.name: file.read_bytes() for file in write(Path(folder))}


def _summaries(run: RunData) -> dict[str, str | bytes]:
    """Tables of fronts, of costs at an error, and of exponents, if there are enough measurements."""
    from ..analysis import cost_at_error, pareto, scaling

    fronts, exponents = pareto.frontier_table(run.frame, run.looked), scaling.fitted_exponents(run.sizes)
    texts = {"headline.md": cost_at_error.sections(run.frame)}
    if len(fronts):
        texts |= {"pareto.csv": fronts.to_csv(index=False), "pareto.md": pareto.frontier_markdown(fronts)}
    if len(exponents):
        texts |= {
            "growth.csv": exponents.to_csv(index=False),
            "growth.md": scaling.exponents_markdown(exponents),
        }
    return {name: text for name, text in texts.items() if text}
