"""Images of the page: stored once, labelled with their residual, compared by a reader."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bench.analysis.convergence import AT, equilibrium_words
from bench.records.store import load
from bench.report.images import SolverImages
from bench.report.page.images import best_solvers, collect
from tests.helpers.page import QUICK, unsettled


def test_images_are_swiped_zoomed_and_chosen(quick, opened):
    page = opened(quick)
    page.locator("#viewer").scroll_into_view_if_needed()
    page.locator("#album").select_option(label="inpainting(huber)")
    page.locator("#left").select_option("truth")
    page.locator("#right").select_option("measurement")
    width = "e => [e.naturalWidth, e.complete, getComputedStyle(e).imageRendering]"
    for side in ("left", "right"):
        assert page.locator(f"#{side}-image").evaluate(width) == [64, True, "pixelated"]
    record = next(
        r for r in load(QUICK) if r.task == "inpainting(huber)" and r.seed == 0 and r.kind == "quality"
    )
    with np.load(QUICK / "rows" / f"{record.key}.npz") as arrays:
        error = np.mean((arrays["truth"] / 255 - arrays["measurement"] / 255) ** 2)
    assert page.locator("#right-psnr").inner_text() == f"{-10 * math.log10(error):.2f} dB"

    swipe = page.locator("#swipe")
    swipe.focus()
    page.keyboard.press("Home")
    cut = "e => e.getBoundingClientRect().left - e.parentElement.getBoundingClientRect().left"
    assert abs(page.locator(".cut").evaluate(cut)) < 2
    page.keyboard.press("End")
    wide = page.locator("#pair").evaluate("e => e.clientWidth")
    assert page.locator(".cut").evaluate(cut) == pytest.approx(wide, abs=2)

    page.locator("#stage").focus()
    for key, grown in (("+", 2**0.5), ("+", 2), ("-", 2**0.5), ("0", 1)):
        page.keyboard.press(key)
        assert page.locator("#pair").evaluate("e => e.clientWidth") == pytest.approx(grown * wide, abs=3)
    page.locator("#pair").hover()
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"document.getElementById('pair').clientWidth > {1.3 * wide}")
    page.get_by_role("button", name="Fit").click()

    tile = page.locator("#strip button", has_text="deq(1e-06), at equilibrium")
    tile.click()
    assert tile.get_attribute("aria-pressed") == "true"
    assert page.locator("#right option:checked").inner_text() == "deq(1e-06), at equilibrium"
    assert "deq(1e-06)" in (page.locator("#right-image").get_attribute("alt") or "")
    page.get_by_label("side by side").check()
    boxes = [page.locator(f"#{side}-image").bounding_box() for side in ("left", "right")]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"] + 0.5
    page.get_by_label("difference").check()
    assert page.locator("#right-image").evaluate("e => getComputedStyle(e).mixBlendMode") == "difference"
    assert swipe.is_disabled()


def test_each_image_is_stored_once_while_there_is_room():
    def arrays(value):
        each = {name: np.full((1, 8, 8), 9, np.uint8) for name in ("truth", "measurement")}
        return each | {name: np.full((1, 8, 8), value, np.uint8) for name in ("trained", "equilibrium")}

    found = {
        "t": {
            "a(1)": SolverImages(0, arrays(1), AT),
            "b(1)": SolverImages(0, arrays(2), AT),
            "c(1)": SolverImages(1, arrays(3), AT),
            "d(1)": SolverImages(0, arrays(1), AT),
        }
    }
    every = collect(found, set())
    (album,) = every.albums
    assert len(every.images) == 3  # truth and measurement are the same; c shows another crop
    assert [view.solver for view in album.views] == ["", "", "a(1)", "a(1)", "b(1)", "b(1)", "d(1)", "d(1)"]
    assert album.left_out == 0
    size = max(map(len, every.images.values()))
    (album,) = collect(found, {("t", "b(1)")}, room=2 * size + size // 2).albums
    assert {view.solver for view in album.views} == {"", "b(1)"}
    assert album.left_out == 4
    psnrs = {"a(1)": 1.0, "a(2)": 3.0, "b(1)": math.nan}
    cells = [
        {"heading": "t", "solver": s, "family": s[0], "status": "ok", "psnr": p} for s, p in psnrs.items()
    ]
    assert best_solvers(pd.DataFrame(cells)) == {("t", "a(2)")}


@pytest.mark.misuse(
    "an image is shown whose iteration has not converged", "right: it is labelled so, with its residual"
)
def test_an_image_that_has_not_converged_is_not_at_equilibrium():
    assert equilibrium_words(unsettled(equilibrium_residual=9e-4)) == AT
    assert (
        equilibrium_words(unsettled(equilibrium_residual=5.6e-3))
        == "iterated, not converged (residual 5.6e-03)"
    )
    assert equilibrium_words(unsettled(equilibrium_residual=5.6e-3, panel_equilibrium_residual=1e-5)) == AT
    assert "iteration leaves" in equilibrium_words(
        unsettled(equilibrium_residual=1e-5, equilibrium_stays=False)
    )
    arrays = {
        name: np.full((1, 8, 8), 9, np.uint8) for name in ("truth", "measurement", "trained", "equilibrium")
    }
    said = equilibrium_words(unsettled(equilibrium_residual=5.6e-3))
    (album,) = collect({"t": {"a(1)": SolverImages(0, arrays, said)}}, set()).albums
    (view,) = [view for view in album.views if view.kind == "equilibrium"]
    assert view.label == f"a(1), {said}"
    assert not view.settled, "and it is not what the viewer opens with"
