"""Records as Parquet: a view of them that can be rebuilt at any time, and nothing that they do not hold."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..records.record import Record
from ..records.store import Manifest
from ..utils.atomic_files import write_atomically
from ..utils.errors import UserError

TABLES = ("settings", "values", "provenance")
"""What of a record is a table of tables."""
PLAIN = tuple(field.name for field in fields(Record) if field.name not in TABLES)
"""What every record has, in the order of its attributes."""


def flat_columns(record: Record) -> dict[str, object]:
    """Everything of a record under dotted names: ``task``, ``settings.training.steps``, ``values.psnr_trained``."""
    found: dict[str, object] = {name: getattr(record, name) for name in PLAIN}
    for name in TABLES:
        found |= _flat(getattr(record, name), f"{name}.")
    return found


def _flat(table: dict[str, Any], before: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in table.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return found


def records_table(records: Iterable[Record], manifest: Manifest) -> pa.Table:
    """A row for each record, whatever its kind and status, in the order given.

    Columns are those of ``flat_columns`` over all records, first what every record has, then the others by name. A
    number that was not finite, and what a record does not hold, is null. Lists are lists, and bool, int64, double
    and string the types; int64 and double in one column make double. A column of which nothing is known has
    Arrow's type null, and one that no type fits, texts beside numbers for instance, holds JSON. The metadata
    are ``eqgrad.schema``, and ``eqgrad.profile``, ``eqgrad.images`` and ``eqgrad.device`` of the manifest.
    """
    rows = [flat_columns(record) for record in records]
    others = sorted({name for row in rows for name in row}.difference(PLAIN))
    arrays = {name: _array([row.get(name) for row in rows]) for name in (*PLAIN, *others)}
    return pa.table(arrays, metadata=_about(manifest))


def frame_table(frame: pd.DataFrame, manifest: Manifest) -> pa.Table:
    """A data frame without its index, NaN and infinities as they are; metadata as in ``records_table``."""
    arrays = {str(name): _array([_plain(value) for value in frame[name].tolist()]) for name in frame.columns}
    return pa.table(arrays, metadata=_about(manifest))


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _about(manifest: Manifest) -> dict[str, str]:
    known = {name: str(getattr(manifest, name)) for name in ("schema", "profile", "images", "device")}
    return {f"eqgrad.{name}": text for name, text in known.items()}


def _array(values: Sequence[object]) -> pa.Array:
    kind = _type(values)
    if kind is not None:
        return pa.array(values, type=kind)
    texts = (None if v is None else json.dumps(v, sort_keys=True, ensure_ascii=False) for v in values)
    return pa.array(list(texts), type=pa.string())


def _type(values: Iterable[object]) -> pa.DataType | None:
    """What fits a column, and ``None`` if nothing does; Arrow's own guess depends on what comes first."""
    known = [value for value in values if value is not None]
    if not known:
        return pa.null()
    if all(isinstance(value, list) for value in known):
        inner = _type([entry for value in known if isinstance(value, list) for entry in value])
        return None if inner is None else pa.list_(inner)
    if all(isinstance(value, str) for value in known):
        return pa.string()
    if all(isinstance(value, bool) for value in known):
        return pa.bool_()
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return None
    whole = [value for value in known if isinstance(value, int)]
    if any(abs(value) >= 2**63 for value in whole):
        return None
    if len(whole) == len(known):
        return pa.int64()
    # A double holds these exactly, and pyarrow refuses the others.
    return pa.float64() if all(abs(value) <= 2**53 for value in whole) else None


def to_bytes(table: pa.Table) -> bytes:
    """A Parquet file; the same table gives the same bytes with the same pyarrow."""
    stream = io.BytesIO()
    pq.write_table(
        table,
        stream,
        version="2.6",
        compression="zstd",
        compression_level=9,
        use_dictionary=True,
        row_group_size=2**20,
    )
    return stream.getvalue()


def write_parquet(
    records: Iterable[Record], frame: pd.DataFrame, manifest: Manifest, folder: Path
) -> list[Path]:
    """Write ``records.parquet``, and the tidy frame as ``cells.parquet``, into a folder that is there.

    Raises:
        Unwritable: the disk is full, or may only be read.
    """
    tables = {
        "records.parquet": records_table(records, manifest),
        "cells.parquet": frame_table(frame, manifest),
    }
    for name, table in tables.items():
        write_atomically(folder / name, to_bytes(table))
    return [folder / name for name in tables]


def read_parquet(file: Path) -> pd.DataFrame:
    """A table of ``write_parquet``, lists as arrays, nulls as pandas has them. Raises ``UserError`` if it is none."""
    try:
        return pd.read_parquet(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(
            f"{file} is no Parquet file: write it with 'python -m bench report {file.parent.parent}'"
        ) from error
