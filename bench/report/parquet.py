"""Records as Parquet: a view of them that can be rebuilt at any time, and nothing that they do not hold."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..records.record import Record
from ..records.store import Manifest

NESTED = ("settings", "values", "provenance")
"""Attributes of a record that are dictionaries."""
PLAIN = tuple(field.name for field in fields(Record) if field.name not in NESTED)
"""The other attributes, in their order."""


def flat_columns(record: Record) -> dict[str, object]:
    """Everything in a record under dotted names: ``task``, ``settings.training.steps``, ``values.psnr_trained``."""
    # Not pandas.json_normalize: it turns whole numbers into doubles where another record lacks them.
    columns: dict[str, object] = {name: getattr(record, name) for name in PLAIN}
    for name in NESTED:
        columns |= _flat(getattr(record, name), f"{name}.")
    return columns


def _flat(table: dict[str, Any], prefix: str) -> dict[str, object]:
    columns: dict[str, object] = {}
    for name, value in table.items():
        columns |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return columns


def records_table(records: Iterable[Record], manifest: Manifest) -> pa.Table:
    """One row per record, of any kind and status, in their order.

    Columns are those of ``flat_columns`` over all records: the attributes of every record first, then the others by
    name. A number that was not finite, and what a record does not hold, is null. Types are bool, int64, double, string,
    and lists of them; int64 and double in one column make double. A column without values has Arrow's type null; one
    that no type fits, such as text beside numbers, holds JSON. The metadata are ``eqgrad.schema``, and
    ``eqgrad.profile``, ``eqgrad.images`` and ``eqgrad.device`` of the manifest.
    """
    rows = [flat_columns(record) for record in records]
    others = sorted({name for row in rows for name in row}.difference(PLAIN))
    arrays = {name: _array([row.get(name) for row in rows]) for name in (*PLAIN, *others)}
    return pa.table(arrays, metadata=_metadata(manifest))


def frame_table(frame: pd.DataFrame, manifest: Manifest) -> pa.Table:
    """A data frame without its index, NaN and infinities as they are; metadata as in ``records_table``."""
    arrays = {
        str(name): _array([v.tolist() if isinstance(v, np.ndarray) else v for v in frame[name].tolist()])
        for name in frame.columns
    }
    return pa.table(arrays, metadata=_metadata(manifest))


def _metadata(manifest: Manifest) -> dict[str, str]:
    names = ("schema", "profile", "images", "device")
    return {f"eqgrad.{name}": str(getattr(manifest, name)) for name in names}


def _array(values: Sequence[object]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # no type fits all of them exactly
        texts = (None if v is None else json.dumps(v, sort_keys=True, ensure_ascii=False) for v in values)
        return pa.array(list(texts), type=pa.string())


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


def render_parquet(records: Iterable[Record], frame: pd.DataFrame, manifest: Manifest) -> dict[str, bytes]:
    """``records.parquet``, and the tidy frame as ``cells.parquet``.

    Returns:
        Contents by path, relative to the folder of the run.
    """
    return {
        "tables/records.parquet": to_bytes(records_table(records, manifest)),
        "tables/cells.parquet": to_bytes(frame_table(frame, manifest)),
    }
