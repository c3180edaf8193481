"""The page of a run, opened in Chromium as a reader opens it: from a file."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from bench.analysis.convergence import AT, equilibrium_words
from bench.analysis.over_seeds import past_depth
from bench.analysis.pareto import LEVELS
from bench.analysis.recommendation import candidates, stops
from bench.analysis.tidy import tidy, trajectories
from bench.records.record import Record
from bench.records.store import Manifest, Store, load
from bench.report.family_style import family_styles
from bench.report.images import SolverImages
from bench.report.page import recommendations, render, render_page
from bench.report.page.images import best_solvers, collect
from bench.report.page.page import panel_specs
from bench.report.page.recommendations import left_out
from bench.report.page.tables import three_digits
from bench.report.page.theory import REFERENCE
from bench.report.plot import log_ticks
from bench.report.psnr_plots import psnr_past_depth
from bench.report.run_data import read_run
from bench.utils.errors import UserError

QUICK = Path(__file__).parents[3] / "results" / "reference" / "quick-cpu"
HOSTILE = "</script><img src=x onerror=alert(1)>"
OWN = ("file:", "data:", "blob:")
MIB = 2**20


def record(task, solver, seed=0, **values):
    """A record of quality of two images; ``error=None`` has no reference, ``psnr=None`` trained nothing."""
    psnr, settled, loss = values.pop("psnr", 20.0), values.pop("settled", 21.0), values.pop("loss", 1.0)
    stays = values.pop("stays", True)
    found = {
        "applications": values.pop("work", 10),
        "vjps": 2,
        "recorded": 2,
        "evaluations": 12.0,
        "residual": 1e-3,
        "hypergradient_error": values.pop("error", 0.005),
        "contraction": values.pop("contraction", 0.9),
        "saved_bytes": values.pop("tape", 1.0) * MIB,
        "peak_bytes": 2 * MIB,
    }
    if psnr is not None:
        found |= {"psnr_trained": [psnr], "psnr_equilibrium": [settled], "psnr_measurement": [10.0]}
        found |= {"training_loss_equilibrium": loss, "equilibrium_stays": stays}
        if settled is not None:
            found |= {"psnr_validation_equilibrium": [settled - 1, settled + 1], "equilibrium_residual": 1e-7}
        found |= {
            "past_depths": [4, 40, 400],
            "past_psnr": [psnr, settled, settled],
            "past_residuals": [1.0, 0.1, 0.1],
        }
    settings = {
        "dtype": "float64",
        "images": {"crop": 8, "train": 2},
        "training": {"batch": 2},
        "equilibrium": {"tol": 1},
    }
    made = {
        "device": "a machine",
        "commit": "0123456789abcdef",
        "versions": {"torch": "2.0"},
        "cores": 2,
        "threads": 1,
    }
    key = re.sub(r"\W", "-", f"{task}-{solver}")[:60] + f"-{seed}"
    return Record(key, "quality", task, solver, "", seed, "ok", "", settings, found, made | values)


def timed(of, seconds):
    """The seconds of the cell of a record."""
    values = {"seconds": [seconds] * 3, "ratios": [1.0] * 3, "ratios_of_floor": [1.0] * 3}
    return replace(of, key=f"c-{of.key}", kind="cost", values=values)


def folder_of(records, folder, profile="made", summary="by hand"):
    store = Store(folder)
    store.claim(Manifest(profile, summary, "scikit-image", "cpu", [r.key for r in records]))
    for each in records:
        store.write(each)
    return folder


def varied():
    """Ties, seeds, an estimator without an equilibrium, failures, seconds that are missing, tapes of all sizes."""
    found = []
    for seed in (0, 1):
        found += [
            record(
                "deblurring(l1)",
                "unrolled(4)",
                seed,
                error=0.2,
                work=4,
                settled=24.0 + seed,
                loss=1.3,
                tape=8,
            ),
            record(
                "deblurring(l1)", "unrolled(40)", seed, error=0.002, work=40, settled=24.1 - seed, tape=80
            ),
            record(
                "deblurring(l1)", "deq(1e-06)", seed, error=0.009, work=60, settled=24.3, loss=1.02, tape=0.5
            ),
            record("deblurring(l1)", "jfb(9)", seed, error=0.004, work=9, settled=24.295, tape=1.5),
            record(
                "deblurring(l1)",
                "torchdeq_ift(9)",
                seed,
                error=0.3,
                work=70,
                settled=23.0,
                tape=2,
                stays=False,
            ),
            record("denoising(l1)", "jfb(9)", seed, error=None, contraction=1.5, settled=9.0),
            record("denoising(l1)", "unrolled(4)", seed, error=None, contraction=1.5, settled=None, psnr=9.5),
        ]
    lost = record("inpainting(l1)", "deq(1e-06)")
    found += [replace(lost, status="diverged", reason="the residual grew", values={})]
    return [*found, *(timed(r, 0.01 * k) for k, r in enumerate(found[:4], start=1) if r.solver != "jfb(9)")]


@pytest.fixture(scope="session")
def browser():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.fail("no Chromium on the PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


def write_page(folder, bounds=None) -> Path:
    """The page of a run, written into its folder."""
    for name, content in render_page(read_run(folder), bounds).items():
        (folder / name).write_bytes(content)
    return folder / "index.html"


@pytest.fixture(scope="session")
def quick_run():
    return read_run(QUICK)


@pytest.fixture(scope="session")
def quick(tmp_path_factory, quick_run) -> Path:
    file = tmp_path_factory.mktemp("quick") / "index.html"
    file.write_bytes(render_page(quick_run)["index.html"])
    return file


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    return write_page(folder_of(varied(), tmp_path_factory.mktemp("made") / "run"))


@pytest.fixture
def opened(browser):
    """Opens a file, and holds in the end that the page said, asked for and alerted nothing."""
    contexts, said = [], []

    def visit(file: Path, **settings) -> Page:
        context = browser.new_context(reduced_motion="reduce", **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: None if request.url.startswith(OWN) else said.append(request.url))
        page.goto(file.as_uri())
        return page

    yield visit
    for context in contexts:
        context.close()
    assert said == []


def drawn(page, selector):
    """Scroll to a plot and wait until it is drawn."""
    box = page.locator(selector)
    box.scroll_into_view_if_needed()
    box.locator("svg.marks").wait_for()
    return box


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


def column(page, grid, place):
    return page.locator(f"#{grid} tbody tr:visible").evaluate_all(
        "(rows, place) => rows.map((row) => row.cells[place].textContent.trim())", place
    )


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


def cards(records):
    frame = tidy(records)
    return recommendations.cards(frame, candidates(frame))


def unsettled(task="deblurring(l1)", solver="jfb(9)", seed=0, tol=1e-4, **values):
    """A record with the tolerance of a profile that is kept."""
    made = record(task, solver, seed)
    settings = made.settings | {"equilibrium": {"tol": tol}}
    return replace(made, settings=settings, values=made.values | values)


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
    "an iterate diverges past its depth on one seed of two",
    "right: its line ends, and the table says on how many",
)
def test_a_line_does_not_go_on_with_the_seeds_that_survived():
    whole, gone = record("t", "jfb(1)", 0, settled=26.0), record("t", "jfb(1)", 1)
    gone = replace(
        gone, values=gone.values | {"past_psnr": [20.0, None, None], "past_residuals": [1.0, None, None]}
    )
    seen = trajectories([whole, gone])
    found = past_depth(seen)
    assert list(found["said"]) == ["20.00", "diverged on 1 of 2", "diverged on 1 of 2"]
    assert list(found["psnr"].notna()) == [True, False, False]
    (spec,) = panel_specs(psnr_past_depth(seen, family_styles(tidy([whole, gone])))).values()
    assert [row["x"] for row in spec["layer"][0]["data"]["values"]] == [1]
    assert "A line ends where a seed diverges: jfb(1)" in spec["description"]


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


def test_numbers_are_told_to_three_digits_and_thousands_in_full():
    assert [three_digits(value) for value in (0, 1e-7, 0.12345, 12.34, 1000, 2164.2)] == [
        "0",
        "1e-07",
        "0.123",
        "12.3",
        "1000",
        "2164",
    ]


def test_numbers_of_a_logarithmic_axis_are_few_and_inside():
    for low, high in ((1e-10, 1.0), (2e-3, 0.9), (11, 60), (3, 3.1), (1, 1000)):
        found = log_ticks(low, high)
        assert 2 <= len(found) <= 9
        assert found == sorted(found)
        assert all(0.98 * low <= value <= 1.02 * high for value in found)
