"""The page of a run, opened in Chromium as a reader opens it: from a file."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from bench.report.page.page import render_page
from bench.report.run_data import read_run
from tests.helpers.page import MIB, drawn


def test_the_page_is_small_and_the_same_each_time(quick, quick_run, made):
    assert quick.stat().st_size < 5 * MIB
    assert quick.read_bytes() == render_page(quick_run)["index.html"]
    assert made.read_bytes() == render_page(read_run(made.parent))["index.html"]


def test_it_opens_from_a_file_and_draws_its_plots(quick, opened):
    page = opened(quick)
    assert page.title() == "quick · eqgrad"
    boxes = page.locator("[data-plot]")
    assert boxes.count() == 12  # four tasks by cost and by depth, and four maps
    for place in range(boxes.count()):
        boxes.nth(place).scroll_into_view_if_needed()
        boxes.nth(place).locator("svg.marks").wait_for()
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    links = page.eval_on_selector_all("main .data a, nav a, .skip", "all => all.map((a) => a.hash.slice(1))")
    assert set(links) <= set(ids)


def test_plots_tell_numbers_change_cost_and_bring_out_a_family(quick, opened):
    page = opened(quick)
    box = drawn(page, "[data-plot='cost-1']")
    box.locator(".mark-symbol path").first.hover()
    tip = page.locator("#vg-tooltip-element")
    tip.wait_for()
    assert "gradient error" in tip.inner_text()
    page.locator("#abscissa").select_option("saved_mib")
    box.get_by_text("tape (MiB)").first.wait_for()
    faint = "all => all.filter((e) => Number(e.getAttribute('opacity')) < 0.2).length"
    marks = ".mark-symbol path"
    assert box.locator(marks).evaluate_all(faint) == 0
    button = page.locator("#cost [data-pick='deq']")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert box.locator(marks).evaluate_all(faint) == 22 - 3
    page.keyboard.press("Enter")
    assert box.locator(marks).evaluate_all(faint) == 0


@pytest.mark.parametrize(
    ("which", "scheme"),
    [
        *(pytest.param(which, "light", marks=pytest.mark.slow) for which in ("quick", "made")),
        ("made", "dark"),
    ],
)
def test_axe_finds_nothing(which, opened, scheme, request):
    page = opened(request.getfixturevalue(which), color_scheme=scheme)
    for plot in ("cost-0", "depth-0", "bound-0"):
        drawn(page, f"[data-plot='{plot}']")
    if which == "made":  # the large tables are many rows of the same
        page.eval_on_selector_all("details", "all => all.forEach((each) => (each.open = true))")
    found = Axe().run(page).response["violations"]
    assert [(v["id"], v["impact"], [n["target"] for n in v["nodes"]][:3]) for v in found] == []


def test_it_fits_a_phone(quick, opened):
    page = opened(quick, viewport={"width": 360, "height": 740}, has_touch=True)
    drawn(page, "[data-plot='depth-0']")
    for details in ("details.more", "details.how", "details.columns"):
        page.eval_on_selector_all(details, "all => all.forEach((each) => (each.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.locator("#table-results .scroll").evaluate("e => e.scrollWidth > e.clientWidth")


def test_the_theme_follows_the_system_and_the_button(made, opened):
    page = opened(made, color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    label = "[data-plot='cost-0'] .role-axis-label text"
    drawn(page, "[data-plot='cost-0']")
    dark, words = page.evaluate(colour), page.locator(label).first.get_attribute("fill")
    button = page.get_by_role("button", name="Theme")
    button.click()
    light = page.evaluate(colour)
    assert light != dark
    page.wait_for_function(f'document.querySelector("{label}")?.getAttribute("fill") !== "{words}"')
    button.click()
    assert page.evaluate(colour) == dark


def test_without_scripts_there_are_still_answers_and_tables(quick, opened):
    page = opened(quick, java_script_enabled=False)
    assert "deq(1e-06)" in page.locator("[data-card='deblurring(huber)']").inner_text()
    assert page.locator("#table-results tbody tr:visible").count() == 71
    assert page.locator("#table-claims tbody tr:visible").count() >= 25
    assert page.locator("#ask, #viewer, .tools, #theme").filter(visible=True).count() == 0
