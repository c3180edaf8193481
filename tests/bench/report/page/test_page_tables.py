"""Tables of the page: sorted, filtered, numbers as text."""

from __future__ import annotations

import re

from bench.report.cells import three_digits
from tests.helpers.page import column


def test_tables_are_sorted_by_keys_and_what_is_missing_comes_last(made, opened):
    page = opened(made)
    head = page.locator("#table-results th", has_text="gradient error")
    place = head.evaluate("th => th.cellIndex")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    rising = column(page, "table-results", place)
    assert rising[-3:] == ["—"] * 3
    numbers = [float(text.split()[0]) for text in rising[:-3]]
    assert numbers == sorted(numbers)
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "descending"
    falling = column(page, "table-results", place)
    assert falling == rising[-4::-1] + ["—"] * 3
    assert page.locator("#table-results [aria-sort]").count() == 1
    assert "sorted by gradient error, falling" in page.locator("#table-results [data-count]").inner_text()


def test_tables_are_filtered_and_show_the_columns_one_chooses(quick, opened):
    page = opened(quick)
    grid = page.locator("#table-results")
    assert len(column(page, "table-results", 0)) == 71
    grid.get_by_label("Filter").fill("JFB 10 denoising")
    shown = column(page, "table-results", 1)
    assert shown
    assert all("jfb" in solver for solver in shown)
    assert set(column(page, "table-results", 0)) == {"denoising(huber)"}
    assert f"{len(shown)} of 71 rows" in grid.locator("[data-count]").inner_text()
    grid.get_by_label("Filter").fill("")
    grid.locator("[data-by]").select_option("deblurring(dncnn)")
    assert set(column(page, "table-results", 0)) == {"deblurring(dncnn)"}
    ssim = grid.locator("th", has_text=re.compile(r"^SSIM$"))
    assert ssim.is_hidden()
    grid.locator("summary").click()
    grid.get_by_label("SSIM", exact=True).check()
    assert ssim.is_visible()
    page.keyboard.press("Escape")
    assert not grid.locator("details").evaluate("d => d.open")
    numbers = grid.locator("td.number").first.evaluate("e => getComputedStyle(e)['textAlign']")
    assert numbers == "right"


def test_numbers_are_told_to_three_digits_and_thousands_in_full():
    assert [three_digits(value) for value in (0, 1e-7, 0.12345, 12.34, 1000, 2164.2)] == [
        "0",
        "1e-07",
        "0.123",
        "12.3",
        "1000",
        "2164",
    ]
