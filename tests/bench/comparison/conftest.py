"""Stored runs to compare."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.tidy import place
from bench.comparison import (
    StoredRun,
    read_stored_run,
)
from bench.records.store import Store
from tests.helpers.comparison import QUICK, of_one, slowed
from tests.helpers.records import sealed


@pytest.fixture(scope="session")
def quick() -> StoredRun:
    """The reference with the timings of one quiet run: the next one may be noisier."""
    frozen = json.loads((Path(__file__).parent / "timings.json").read_text(encoding="utf-8"))
    run = read_stored_run(QUICK)
    names = ["|".join(map(str, place(record))) if record.kind == "cost" else "" for record in run.records]
    assert set(frozen) <= set(names)
    records = [
        replace(record, values=record.values | frozen.get(name, {}))
        for record, name in zip(run.records, names, strict=True)
    ]
    return replace(run, records=tuple(records))


@pytest.fixture(scope="session")
def timings(quick):
    return list(quick.of("cost"))


@pytest.fixture(scope="session")
def edited(tmp_path_factory) -> Path:
    """A copy of the quick reference: one tape is larger, one step is slower."""
    folder = tmp_path_factory.mktemp("edited") / "run"
    shutil.copytree(QUICK, folder, ignore=shutil.ignore_patterns("*.npz", "figures", "tables"))
    for record in Store(folder).records():
        found = json.loads(record.to_json())
        if of_one()(record):
            found["values"]["saved_bytes"] += 100_000
        elif of_one("cost")(record):
            slowed(found["values"])
        (folder / "rows" / f"{record.key}.json").write_text(sealed(found))
    return folder
