"""Predictions: the model finds what made the seconds, and says how far off it was."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.__main__ import entry
from bench.config.matrix import Cell, load_profile, parse_solver, parse_task
from bench.planning.cost_model import PastRun, Requirement, fit_cost_model, validate, wall
from bench.planning.forecast import checks, halves, matrix_table, need_of, needs_of, precedents, workers_table
from bench.planning.workload import OperationCounts, PastWork, counts_of, past_work, work_of
from bench.records.record import Record
from bench.records.store import Store
from bench.utils.errors import UserError
from tests.helpers.profiles import TINY

NOTHING = PastWork()


def need(text: str, task: str = "denoising(huber)", kind="quality", **images: int) -> Requirement:
    profile = load_profile("quick")
    table = profile.images.model_copy(update=images)
    return Requirement(
        kind, Cell(parse_task(task), parse_solver(text), 0), profile.model_copy(update={"images": table})
    )


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("unrolled(7)", OperationCounts(7, 7, 7)),
        ("jfb(12)", OperationCounts(13, 1, 1)),
        ("restarted_jfb(5, 4)", OperationCounts(25, 5, 5)),
        ("neumann(20, 6)", OperationCounts(21, 1, 6)),
    ],
)
def test_a_solver_of_fixed_depth_is_counted_without_a_record(text, counts):
    assert counts_of(need(text).cell, NOTHING) == counts


def test_a_solver_that_stops_by_a_rule_takes_what_it_took(tiny_run):
    found = past_work(Store(tiny_run).records())
    cell = need("deq(1e-08)").cell
    (told, *_) = [r for r in Store(tiny_run).records() if r.solver == "deq(1e-08)" and "denoising" in r.task]
    assert counts_of(cell, found).applications == pytest.approx(told.values["applications"], rel=0.2)
    assert counts_of(cell, found) != counts_of(cell, NOTHING)


def test_work_grows_with_pixels_batch_steps_and_depth():
    def size(one: Requirement) -> float:
        return work_of(one.cell, one.profile, one.kind, NOTHING).size

    small = need("unrolled(10)")
    assert size(need("unrolled(10)", crop=128)) == pytest.approx(4 * size(small))
    ten = size(need("unrolled(20)")) - size(small)
    assert ten > 0.3 * size(small)
    assert size(need("unrolled(40)")) - size(small) == pytest.approx(3 * ten)
    training = small.profile.training.model_copy(update={"batch": 4})
    larger = replace(small, kind="cost", profile=small.profile.model_copy(update={"training": training}))
    assert size(larger) == pytest.approx(2 * size(replace(small, kind="cost")))


def planted(start: float, price: dict[str, float]) -> list[PastRun]:
    """Cells whose seconds are exactly those of the model, and two that something held up."""
    cells = [
        need(f"unrolled({n})", task, crop=crop) for n in (5, 10, 40) for task in price for crop in (32, 64)
    ]
    exact = [
        PastRun(
            c, start + price[c.cell.task.label] * work_of(c.cell, c.profile, c.kind, NOTHING).size, None, None
        )
        for c in cells
    ]
    return [replace(s, seconds=30 * s.seconds) if i in (4, 9) else s for i, s in enumerate(exact)]


def test_the_model_finds_prices_in_spite_of_cells_that_were_held_up():
    price = {"denoising(huber)": 1e-8, "deblurring(huber)": 3e-8, "inpainting(l1)": 2e-8}
    model = fit_cost_model(planted(1e-3, price), [])
    for task, each in price.items():
        guess = model.guess(need("jfb(60)", task, crop=256))
        work = work_of(guess.need.cell, guess.need.profile, "quality", NOTHING).size
        assert guess.seconds == pytest.approx(each * work, rel=0.1)
        assert guess.level == 0
    assert model.guess(need("jfb(60)", "inpainting(huber)")).level == 1
    assert model.guess(need("jfb(60)", "inpainting(colours)")).level == 2
    assert model.guess(need("jfb(60)", "deblurring(dncnn)")).precedent == "anything"
    assert math.isnan(fit_cost_model([], []).guess(need("jfb(60)")).seconds)


def test_workers_take_the_next_cell_and_timings_come_last():
    assert wall([4, 1, 1, 1, 1], [2, 3], 1) == 13
    assert wall([4, 1, 1, 1, 1], [2, 3], 2) == 9
    assert wall([1, 1, 1, 1, 4], [], 2) == 6
    assert wall([1, 2], [5], 8) == 7
    assert wall([], [], 3) == 0


def test_factors_are_those_of_half_and_of_nine_in_ten():
    found = validate([(1, 1), (2, 1), (1, 2), (1, 1.5), (10, 1)])
    assert (found.cells, found.factor, found.worst) == (5, pytest.approx(2), pytest.approx(10))
    assert validate([]) is None


def test_a_prediction_knows_nothing_of_what_it_is_held_against(tiny_run):
    """Seconds of one cell made absurd move the other predictions at most, never its own."""
    before = precedents([tiny_run])
    guesses = dict(halves(before))
    assert sorted(guesses) == list(range(len(before.pairs)))
    i = next(i for i, (r, _) in enumerate(before.pairs) if r.kind == "quality")
    record, one = before.pairs[i]
    pairs = list(before.pairs)
    pairs[i] = (record, replace(one, seconds=1e6))
    assert dict(halves(replace(before, pairs=pairs)))[i].seconds == guesses[i].seconds


def test_what_was_run_stands_beside_what_was_predicted(tiny_run, tmp_path):
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    found = precedents([tiny_run])
    assert len(found.pairs) == 18
    for record, one in found.pairs:
        assert need_of(record) == one.need
        assert one.seconds is not None
    model = found.model(range(18))
    guesses = [model.guess(n) for n in needs_of(load_profile(str(file)))]
    table = matrix_table(guesses, found)
    assert list(table["run"]) == ["6 cells", "6 cells", "3 steps", "3 steps"]
    assert (table["measured"] != "").all()
    quality = sum(s.seconds for r, s in found.pairs if r.kind == "quality")
    assert 0.3 < sum(g.seconds for g in guesses if g.need.kind == "quality") / quality < 3
    times = workers_table(guesses, [1, 2], "cpu")
    assert list(times["workers"]) == [1, 2]
    assert times["busy"][0] == "100%"
    assert len(checks(found)) == 2


def test_a_record_says_what_its_cell_took(tiny_run):
    for record in Store(tiny_run).records():
        if record.kind == "quality":
            assert 0 < record.provenance["seconds"] < 600
            assert record.provenance["peak_rss"] > record.values["peak_bytes"]
            assert record.provenance["peak_gpu"] is None


def test_the_command_prints_tables_and_says_what_it_never_saw(tiny_run, capsys):
    assert entry(["plan", "paper", "--from", str(tiny_run), "--workers", "3"]) == 0
    shown = capsys.readouterr().out
    assert "of a kind of operator never run: deblurring_colour(drunet(" in " ".join(shown.split())
    assert entry(["plan", "quick"]) == 0  # from the committed records
    assert "paper-small-cpu" in capsys.readouterr().out


def test_bad_folders_are_one_line(tiny_run, tmp_path, capsys):
    assert entry(["plan", "quick", "--from", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
    record = next(iter(Store(tiny_run).records()))
    other = replace(record, settings=record.settings | {"device": "cuda"})
    assert need_of(replace(record, task="gone(huber)")) is None
    assert need_of(replace(record, settings={})) is None
    mixed = tmp_path / "mixed"
    (mixed / "rows").mkdir(parents=True)
    manifest = (tiny_run / "manifest.json").read_text()
    (mixed / "manifest.json").write_text(manifest)
    for one in (record, replace(other, key=other.key[::-1])):
        Store(mixed).write(one)
    (mixed / "manifest.json").write_text(
        manifest.replace(record.key, f'{record.key}", "{record.key[::-1]}', 1)
    )
    with pytest.raises(UserError, match="cpu and cuda"):
        precedents([mixed])


def test_records_of_old_shape_are_passed_over():
    assert need_of(Record("k", "quality", "t", "s", "c", 0, "ok", "", {}, {}, {})) is None
