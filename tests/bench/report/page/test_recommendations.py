"""Recommendation cards answer as the library does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analysis.pareto import LEVELS
from bench.analysis.recommendation import candidates, stops
from bench.analysis.tidy import tidy
from bench.records.store import load
from bench.report.page import recommendations
from bench.report.page.recommendations import left_out
from tests.helpers.page import cards, record, unsettled, write_page
from tests.helpers.records import folder_of

ANSWERS = """([stop, level, cost]) => {
    const set = (id, value) => {
        const control = document.getElementById(id);
        control.value = value;
        control.dispatchEvent(new Event("input"));
    };
    set("memory", stop); set("within", level); set("counted", cost);
    const found = {};
    for (const card of document.querySelectorAll("[data-card]"))
        found[card.dataset.card] = [...card.querySelectorAll("[data-answer]")].map((answer) =>
            ["solver", "value", "cost", "note"].map(
                (name) => answer.querySelector(`[data-part="${name}"]`).textContent));
    return found;
}"""


@pytest.mark.parametrize("which", [pytest.param("quick", marks=pytest.mark.slow), "made"])
def test_the_page_shows_the_answer_to_every_choice(which, opened, request):
    file = request.getfixturevalue(which)
    page = opened(file)
    frame = request.getfixturevalue("quick_run").frame if which == "quick" else tidy(load(file.parent))
    known = candidates(frame)
    limits = stops([option for choices in known.values() for option in choices])
    before = frame.groupby("heading")["psnr_measurement"].mean()
    assert page.locator("#memory").get_attribute("max") == str(len(limits) - 1)
    seen = set()
    for place, limit in enumerate(limits):
        for level, within in enumerate(LEVELS):
            for counted, cost in enumerate(recommendations.COUNTED):
                found = page.evaluate(ANSWERS, [place, level, counted])
                for heading, choices in known.items():
                    both = (
                        recommendations.cheapest_answer(choices, within, limit, cost),
                        recommendations.best_answer(choices, before[heading], limit, cost),
                    )
                    expected = [[a.solver, a.value, a.cost, a.note] for a in both]
                    assert found[heading] == expected, (heading, within, limit, cost)
                    seen |= {(heading, a.solver) for a in both}
    assert len(seen) > 10 if which == "quick" else len(seen) > 5


def test_the_slider_is_moved_by_keys_and_told(made, opened):
    page = opened(made)
    slider, told = page.locator("#memory"), page.locator("#told")
    assert told.get_attribute("role") == "status"
    before = told.inner_text()
    slider.focus()
    page.keyboard.press("Home")
    smallest = slider.get_attribute("aria-valuetext")
    assert smallest == "0.5\u00a0MiB"
    assert smallest in told.inner_text() != before
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "0.75\u00a0MiB"


def test_no_card_is_without_words(made, tmp_path, opened):
    silent = [record("denoising(l1)", f"jfb({n})", error=None, psnr=None) for n in (1, 2)]
    failed = [replace(r, status="error", reason="RuntimeError: x", values={}) for r in silent]
    files = [
        made,
        write_page(folder_of(silent, tmp_path / "a")),
        write_page(folder_of(failed, tmp_path / "b")),
    ]
    for file in files:
        page = opened(file)
        assert page.locator("#answers").inner_text().count("This run cannot say") == (file is not made)
        for answer in page.locator("[data-answer]").all():
            assert len(answer.inner_text().splitlines()) > 1
    page = opened(made)
    assert "Worse than the measurement itself" in page.locator("[data-card='denoising(l1)']").inner_text()
    assert "the failures are below" in page.locator("[data-card='inpainting(l1)']").inner_text()
    assert "outside the theory" in page.locator("[data-card='denoising(l1)']").inner_text()
    assert "the residual grew" in page.locator("#table-failures").inner_text()


@pytest.mark.misuse(
    "plain iteration leaves an equilibrium", "right: its operator is not recommended, and the card says so"
)
def test_what_is_left_out_of_a_card_is_said():
    stays = record("deblurring(drunet)", "deq(1)", contraction=1.5)
    leaves = record("deblurring(drunet)", "jfb(1)", contraction=1.5, settled=27.42, stays=False)
    leaves = replace(
        leaves, values=leaves.values | {"past_psnr": [27.42, 2.35, None], "past_residuals": [1.0, 1.5, None]}
    )
    failed = replace(record("deblurring(drunet)", "jfb(2)"), status="nan", values={})
    lost = unsettled("deblurring(drunet)", "jfb(3)", equilibrium_residual=5.6e-3, contraction=1.5)
    (card,) = cards([stays, leaves, failed, lost])
    assert "plain iteration leaves the equilibrium of jfb(1)" in card.left_out
    assert "no equilibrium was found for jfb(3) (residuals from 5.6e-03)" in card.left_out
    assert "jfb(2) did not end well on every seed" in card.left_out
    assert card.best.solver != "jfb(1)"
    assert left_out([], []) == ""


@pytest.mark.misuse(
    "a run of older code holds no training loss at the equilibrium",
    "right: none is called the best, and the card says why",
)
def test_test_images_choose_nothing_where_nothing_else_was_recorded():
    old = [
        record("t", s, contraction=0.9, loss=None, settled=p) for s, p in (("jfb(1)", 30.0), ("deq(1)", 20.0))
    ]
    (card,) = cards(old)
    assert card.best.solver == ""
    assert "not recorded" in card.best.note
