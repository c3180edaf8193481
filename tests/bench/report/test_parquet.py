"""Parquet holds every value of every record."""

from __future__ import annotations

import io
import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records.record import SCHEMA, Record
from bench.records.store import Manifest
from bench.report.parquet import flat_columns, frame_table, records_table, to_bytes
from bench.report.report import write_report
from tests.helpers.cells import some_cells
from tests.helpers.records import folder_of

MANIFEST = Manifest("made", "", "i", "cpu", [])

names = st.sampled_from("abc")

numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))

scalars = st.one_of(st.none(), st.booleans(), st.text(max_size=3), numbers)

values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=6)

tables = st.recursive(
    st.dictionaries(names, values, max_size=3), lambda inner: st.dictionaries(names, st.one_of(values, inner))
)


def plain(found, meant):
    """What a file holds, where a column that no type fits holds JSON."""
    if isinstance(found, str) and not (isinstance(meant, str) and found == meant):
        return json.loads(found)
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(tables, min_size=1, max_size=4))
def test_every_value_of_every_record_comes_back(drawn):
    records = [Record(f"k{i}", "quality", "t", "s", "", i, "ok", "", {}, d) for i, d in enumerate(drawn)]
    written = to_bytes(records_table(records, MANIFEST))
    assert written == to_bytes(records_table(records, MANIFEST))
    table = pq.read_table(io.BytesIO(written))
    rows = table.to_pylist()
    assert [row["key"] for row in rows] == [record.key for record in records]
    for record, row in zip(records, rows, strict=True):
        meant = flat_columns(record)
        for name, value in row.items():
            expected = meant.get(name)
            assert plain(value, expected) == expected if expected is not None else value is None
            if isinstance(value, bool | str):
                assert type(plain(value, expected)) is type(expected)
        assert set(meant) <= set(row)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ([1, None, 2], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([2.5, 1], pa.float64()),
        ([True, None], pa.bool_()),
        ([True, 1], pa.string()),
        ([None, None], pa.null()),
        (["a", 1], pa.string()),
        ([2**63], pa.string()),
        ([2**53 + 1, 0.5], pa.string()),
        ([[1], [], None], pa.list_(pa.int64())),
        ([[1], [2.5, None]], pa.list_(pa.float64())),
        ([[[1]], [[]]], pa.list_(pa.list_(pa.int64()))),
        ([[1], 1], pa.string()),
    ],
)
def test_the_type_of_a_column_does_not_depend_on_what_comes_first(found, kind):
    for order in (found, found[::-1]):
        records = [
            Record(f"k{i}", "cost", "t", "s", "", 0, "ok", "", {}, {"x": x}) for i, x in enumerate(order)
        ]
        assert records_table(records, MANIFEST).schema.field("values.x").type == kind


def test_the_table_of_records_has_every_kind_with_names_of_dots_and_what_it_belongs_to(run):
    records = some_cells()
    table = pq.read_table(run / "tables" / "records.parquet")
    assert table.schema.metadata[b"eqgrad.schema"] == str(SCHEMA).encode()
    assert table.schema.metadata[b"eqgrad.profile"] == b"made"
    frame = pd.read_parquet(run / "tables" / "records.parquet")
    assert list(frame["key"]) == [record.key for record in records]
    assert list(frame["kind"].unique()) == ["quality", "cost"]
    assert list(frame["status"])[-1] == "oom"
    assert list(frame["reason"])[-1] == "out of memory"
    assert frame["settings.training.steps"].dropna().eq(4).all()
    assert list(frame["values.look_psnr"][0][[0, 2]]) == [15.0, 21.5]
    assert frame["provenance.versions.numpy"].dropna().eq("2.0").all()
    assert frame.columns[:8].tolist() == [
        "key",
        "kind",
        "task",
        "solver",
        "composition",
        "seed",
        "status",
        "reason",
    ]


def test_the_parquet_can_be_rebuilt_and_damaged_records_are_left_out(run, tmp_path):
    folder = folder_of(some_cells(), tmp_path / "other")
    write_report(folder)
    for name in ("records.parquet", "cells.parquet", "references.bib"):
        before = (run / "tables" / name).read_bytes()
        assert (folder / "tables" / name).read_bytes() == before
        (folder / "tables" / name).unlink()
    record = folder / "rows" / "qdeblurring-l1-jfb-10-1.json"
    record.write_text(record.read_text()[:-9])
    write_report(folder)
    frame = pd.read_parquet(folder / "tables" / "records.parquet")
    assert len(frame) == len(some_cells()) - 1
    assert record.stem not in set(frame["key"])
    assert len(pd.read_parquet(folder / "tables" / "cells.parquet")) == 4


def test_a_frame_keeps_infinities_and_what_is_not_known():
    frame = pd.DataFrame({"a": [float("-inf"), float("nan")], "b": ["x", "y"], "c": [True, False]})
    read = pq.read_table(io.BytesIO(to_bytes(frame_table(frame, MANIFEST)))).to_pandas()
    pd.testing.assert_frame_equal(read, frame)
