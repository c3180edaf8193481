"""Text of a record is escaped; scripts in data do not run."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from bench.report.page import render
from tests.helpers.page import HOSTILE, drawn, record, write_page
from tests.helpers.records import folder_of


def test_what_it_shows_is_escaped(tmp_path, opened):
    task, solver = f"t({HOSTILE})", f"deq({HOSTILE})"
    every = [
        record(task, solver),
        record(task, "{{ 7 * 7 }}", work=30),
        record(task, f"{HOSTILE}(1)", error=0.1, work=3),
    ]
    every += [replace(record("u", solver), status="error", reason=HOSTILE, values={})]
    every[0].provenance["device"] = HOSTILE
    file = write_page(folder_of(every, tmp_path / "run", profile=f"<!--{HOSTILE}", summary=HOSTILE))
    text = file.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "<img src=x" not in text
    page = opened(file)
    assert page.title() == f"<!--{HOSTILE} · eqgrad"
    box = drawn(page, "[data-plot='cost-0']")
    box.locator(".mark-symbol path").first.hover()
    page.locator("#vg-tooltip-element").wait_for()
    assert HOSTILE in page.locator("#vg-tooltip-element").inner_text()
    page.locator("#memory").press("Home")
    page.locator("#memory").press("End")
    page.locator("#table-results th button").first.click()
    assert page.locator("img[src='x']").count() == 0
    assert page.locator("#table-failures td").last.inner_text() == HOSTILE
    assert page.locator("[data-answer='cheapest'] code").first.inner_text() == solver
    assert page.locator("h1").inner_text() == f"<!--{HOSTILE}"
    assert "{{ 7 * 7 }}" in page.locator("#table-results").inner_text()


def test_a_script_that_gets_in_by_data_does_not_run(made, tmp_path, browser):
    """The policy of the page stops what escaping would have let through."""
    file = tmp_path / "index.html"
    bad = b"<script>window.ran = true</script><img src=x onerror='window.ran = true'>"
    file.write_bytes(made.read_bytes().replace(b"<h1>", bad + b"<h1>", 1))
    page = browser.new_page()
    page.goto(file.as_uri())
    page.locator("#memory").wait_for()
    assert page.evaluate("window.ran === undefined")
    page.close()


def test_any_text_is_a_title_and_data(tmp_path):
    text = render("base.html.j2", HOSTILE, {}, {"text": f"{HOSTILE}\u2028&", "none": math.inf}).decode()
    assert HOSTILE not in text
    data = text.partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(data) == {"text": f"{HOSTILE}\u2028&", "none": None}
    assert not set("<>&\u2028") & set(data)
