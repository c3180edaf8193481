"""The forest plot has a row for each cell that was timed on both sides, with the verdict of the comparison."""

from __future__ import annotations

import pytest

from bench.__main__ import entry
from bench.comparison import Aspect, Outcome, StoredRun, compare_runs
from bench.comparison.forest import draw_forest, forest_rows
from bench.utils.errors import UserError
from tests.helpers.comparison import ONE, QUICK, of_one, slowed, with_values


def test_a_slower_solver_is_the_row_that_has_moved(quick):
    (comparison,) = compare_runs(with_values(quick, slowed, of_one("cost")), [quick])
    rows = forest_rows(comparison)
    timed = [c for c in comparison.changes if c.part is Aspect.TIME and c.change is not None]
    assert [(row.ratio, row.low, row.high) for row in rows] == [(c.change, c.low, c.high) for c in timed]
    assert rows[0].label == "mean of all"
    (moved,) = [row for row in rows if row.verdict is Outcome.WORSE]
    task, crop, batch, solver = ONE
    assert moved.label == f"{solver}, {task}, {crop}², batch {batch}"
    assert moved.ratio == pytest.approx(1.3)
    assert moved.low < moved.ratio < moved.high


def test_nothing_timed_is_one_line(quick, tmp_path):
    run = StoredRun("untimed", tuple(record for record in quick.records if record.kind != "cost"))
    with pytest.raises(UserError, match="nothing to draw"):
        draw_forest(compare_runs(run, [run]), tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_the_command_writes_the_figure(tmp_path):
    words = [str(QUICK), "--solver", "restarted_jfb(10, 16)", "--against", "deq(1e-06)"]
    assert entry(["compare", *words, "--figure", str(tmp_path / "figures")]) == 0
    assert (tmp_path / "figures" / "forest.png").is_file()
