"""Verdicts on the page."""

from __future__ import annotations

import json

import pytest

from bench.report.page.page import render_page
from bench.report.page.theory import REFERENCE
from bench.report.run_data import read_run
from bench.utils.errors import UserError
from tests.helpers.page import HOSTILE


def test_verdicts_come_from_the_folder_that_is_given(made, tmp_path, opened):
    with pytest.raises(UserError, match="tox -e bounds"):
        render_page(read_run(made.parent), tmp_path)
    (tmp_path / "verdicts.json").write_text("[]")
    with pytest.raises(UserError, match="broken"):
        render_page(read_run(made.parent), tmp_path)
    claim = {"id": "C0", "statement": HOSTILE, "verdict": "refuted", "worst": None, "median": 2.5}
    (tmp_path / "verdicts.json").write_text(json.dumps({"claims": [claim], "operators": []}))
    file = tmp_path / "index.html"
    file.write_bytes(render_page(read_run(made.parent), tmp_path)["index.html"])
    page = opened(file)
    words = page.locator("#claims").inner_text()
    assert "0 of 1 claims hold" in words
    assert "not so: C0" in words
    assert HOSTILE in words
    assert page.locator("#claims [data-plot]").count() == 0


def test_the_committed_points_are_below_their_bounds():
    points = json.loads((REFERENCE / "error-against-bound.json").read_text())
    assert len(points) == 4 * 3 * 40
    assert all(0 < p["error"] <= p["bound"] * (1 + 1e-5) for p in points)
