"""Input is data, never code: whatever is wrong with it is one line, and nothing is written."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.config.matrix import parse_solver, parse_task
from bench.records.record import Record
from bench.records.store import Manifest
from bench.utils.errors import UserError
from tests.resilience.corpus import a_record
from tests.resilience.malformed import FAMILIES, malformed, refused


def test_malformed_input_is_a_line(tmp_path):
    found = malformed(tmp_path, every=23)
    assert {family.family for family in found} == set(FAMILIES)
    assert not [family.examples for family in found if family.wrong]
    assert sum(family.inputs for family in found) > 80


def test_the_judge_has_teeth(tmp_path):
    assert refused(["list", "profiles"], tmp_path).startswith("exit code 0")
    assert not refused(["list", "nothing"], tmp_path)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.text(max_size=60))
def test_no_text_is_run(text):
    for parse in (parse_solver, parse_task):
        with suppress(UserError):
            parse(text)


@given(st.sampled_from(sorted(a_record().__slots__)), ANYTHING)
def test_no_value_makes_another_record(name, value):
    """Without the checksum of its own, nothing is taken for a record."""
    whole = json.loads(a_record().to_json())
    text = json.dumps(whole | {name: value})
    if json.dumps(value) != json.dumps(whole[name]):
        with pytest.raises(ValueError, match=r"."):
            Record.from_json(text)


@given(ANYTHING, st.sampled_from(["profile", "summary", "images", "device", "cells", "schema", "x"]))
def test_no_value_makes_a_manifest_that_leads_elsewhere(value, name):
    content = {"profile": "p", "summary": "", "images": "i", "device": "cpu", "cells": ["a"], "schema": 2}
    try:
        found = Manifest.from_json(json.dumps(content | {name: value}))
    except ValueError:
        return
    assert all(key and "/" not in key and "." not in key for key in found.cells)


@pytest.mark.parametrize("key", ["../../x", "/etc/x", "", ".", "..", "a/b", "a\n"])
def test_a_key_of_a_manifest_is_a_name(key):
    content = {"profile": "p", "summary": "", "images": "i", "device": "cpu", "cells": [key], "schema": 2}
    with pytest.raises(ValueError, match=r"cells\.0"):
        Manifest.from_json(json.dumps(content))
