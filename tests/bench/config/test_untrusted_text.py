"""Input is data, never code: whatever is wrong with it is one line, and nothing is written."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.config.matrix import cells, load_profile, parse_solver, parse_task
from bench.records.record import Record
from bench.records.store import Manifest
from bench.utils.errors import UserError
from tests.helpers.profiles import TINY
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


WRITES = "__import__('pathlib').Path('MARKER').touch()"
"""Python that leaves a file behind if anything evaluates it."""
AROUND = (
    "{}",
    "{}(1)",
    "({})",
    "[{}]",
    "{}.close()",
    "{} or jfb(1)",
    "lambda x={}: x",
    "[jfb({}) for jfb in (str,)]",
    "f'{{{}}}'",
    "(x := {})",
    "{{**{}}}",
    "__import__('os').system(\"touch MARKER\")",
    "jfb({})",
    "jfb(N={})",
    "jfb(*{})",
    "jfb(**{})",
    "jfb(-{})",
    "jfb(1 if {} else 2)",
    "jfb(f'{{{}}}')",
    "implicit(picard({}), picard(1))",
    "denoising({})",
    "denoising({}.close)",
    "denoising(l1({}))",
    "denoising(l1, noise={})",
)


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """The file that hostile text would write; the text is known to write it when evaluated."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "MARKER"
    eval(WRITES)
    file.unlink()
    return file


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("parse", [parse_solver, parse_task])
def test_no_code_is_run(parse, around, marker):
    with pytest.raises(UserError):
        parse(around.format(WRITES))
    assert not marker.exists()


@pytest.mark.parametrize("around", AROUND)
def test_no_code_in_a_profile_is_run(around, marker, tmp_path):
    for key in ("tasks", "solvers"):
        text = TINY.replace(f"{key} = [", f"{key} = [{json.dumps(around.format(WRITES))}, ", 1)
        (tmp_path / "hostile.toml").write_text(text)
        with pytest.raises(UserError):
            cells(load_profile(str(tmp_path / "hostile.toml")))
    assert not marker.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_text_around_code_makes_it_run(before, after, marker):
    for parse in (parse_solver, parse_task):
        with pytest.raises(UserError):
            parse(before + WRITES + after)
    assert not marker.exists()


@given(st.text(max_size=60))
def test_any_text_is_a_value_or_an_error_of_the_user(text):
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
