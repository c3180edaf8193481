"""What a reader takes away from the page of a run: files, an address, words."""

from __future__ import annotations

import re
import tomllib

from bench.analysis import metrics
from bench.report.page import render_page
from bench.report.report import render_report
from bench.report.run_data import read_run
from bench.utils.provenance import ROOT
from tests.helpers.page import drawn

LINK = re.compile(r'href="((?:tables|figures)/[^"]+)" download')


def test_every_download_is_a_file_of_the_report(run):
    contents = render_report(read_run(run))
    links = LINK.findall((run / "index.html").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if link not in contents] == []
    assert {link.rsplit(".", 1)[1] for link in links} == {"csv", "parquet", "md", "tex", "png"}


def test_the_page_names_the_project_and_its_version(quick_run):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"eqgrad <small>{project['version']}</small>" in render_page(quick_run)["index.html"].decode()


def test_choices_stand_in_the_address_and_come_back(quick, opened):
    page = opened(quick)
    page.locator("#within").select_option("2")
    page.locator("#abscissa").select_option("saved_mib")
    address = page.evaluate("location.href")
    assert "within=2" in address
    assert "abscissa=saved_mib" in address
    told = page.locator("#told").inner_text()
    other = opened(quick)
    other.goto(address)
    assert other.locator("#within").input_value() == "2"
    assert other.locator("#told").inner_text() == told
    drawn(other, "[data-plot='cost-1']").get_by_text("tape (MiB)").first.wait_for()
    page.locator("#within").select_option("1")
    assert "within" not in page.evaluate("location.search")


def test_an_address_with_a_value_that_the_page_lacks_changes_nothing(quick, opened):
    page = opened(quick)
    usual = page.locator("#within").input_value()
    page.goto(f"{quick.as_uri()}?within=99&memory=x&abscissa=nothing")
    assert page.locator("#within").input_value() == usual
    assert page.locator("#abscissa").input_value() == "work"


def test_heads_of_columns_say_what_they_are(quick, opened):
    page = opened(quick)
    error = metrics.metric_named("hypergradient_error")
    assert page.locator("#table-results th[title]").count() > 5
    hints = page.eval_on_selector_all("#table-results th[title]", "all => all.map((e) => e.title)")
    assert error.explanation.replace("`", "") in hints
    assert page.locator("#words dt").count() > 8
