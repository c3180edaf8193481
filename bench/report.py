"""Tables and figures of a folder of records."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from .errors import UserError
from .frame import tidy, trajectories
from .records import Record, Store


def load(folder: Path) -> list[Record]:
    """The records of a run. Raises ``UserError`` if there is no run or no quality record in ``folder``."""
    store = Store(folder)
    if store.manifest() is None:
        raise UserError(f"{folder} holds no run: make one with 'python -m bench run quick --out {folder}'")
    records = list(store.records())
    if not any(record.kind == "quality" for record in records):
        raise UserError(f"{folder} holds no finished cell: go on with 'python -m bench run … --out {folder}'")
    return records


def write_report(folder: Path) -> list[Path]:
    """Write ``tables/`` and ``figures/`` into the folder of a run; the same records give the same bytes."""
    # Here, not above: matplotlib and seaborn take a second that no other command should wait for.
    from .figures import write_figures
    from .tables import write_tables

    records = load(folder)
    frame = tidy(records)
    pictures = _pictures(records, Store(folder))
    return write_tables(frame, folder / "tables") + write_figures(
        frame, trajectories(records), pictures, folder / "figures"
    )


def _pictures(records: list[Record], store: Store) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    found: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for record in records:
        file = store.rows / f"{record.key}.npz"
        if record.status == "ok" and file.is_file():
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
                found[record.task, record.solver] = {name: arrays[name] for name in arrays.files}
    return found
