"""The study of certificates: a tiny one, run for real."""

from __future__ import annotations

import json

import pytest
import torch

from bench.config.matrix import parse_solver
from bench.studies.certificates.certified_step import (
    CountingMap,
    known_constants,
    take_step,
    tape_certificate,
)
from bench.studies.certificates.study import certificate_study
from bench.studies.certificates.tables import (
    judged,
    rows_frame,
)
from bench.studies.certificates.trials import matrix_solvers, matrix_tasks
from bench.utils.errors import UserError
from solvers import restarted_jfb
from tests.helpers.certificates import TINY
from tests.helpers.commands import refused
from tests.helpers.problems import small_problem


def test_the_study_measures_contractive_tasks_alone(tiny):
    _, files, told, stored = tiny
    assert {row["task"] for row in stored["rows"] if row["part"] != "rigorous"} == {"denoising(huber)"}
    on_both = {"denoising(huber)", "denoising(huber) on peaceman_rachford"}
    assert {row["task"] for row in stored["rows"]} == on_both
    assert not any("l1" in line for line in told)
    assert [file.name for file in files] == [
        "certificates.md",
        "certificates.png",
        "certificates.pdf",
        "certificates.svg",
    ]
    assert all(file.stat().st_size > 1000 for file in files)
    assert set(stored["made"]) == {"rigorous", "estimates", "depths", "overhead"}
    count = {part: sum(row["part"] == part for row in stored["rows"]) for part in stored["made"]}
    assert count == {"rigorous": 12, "estimates": 6, "depths": 8, "overhead": 3}


def test_its_bounds_hold_and_its_parts_differ_in_what_they_know(tiny):
    rows = tiny[3]["rows"]
    for part, rigorous in (("rigorous", True), ("estimates", False)):
        trials = judged(rows_frame(rows, part))
        assert len(trials) == (12 if rigorous else 6)
        assert not trials["violated"].any()
        assert not trials["above"].any()
        assert set(trials["rigorous"]) == {rigorous}
        assert (trials["looks"] > 0).all() == rigorous
    used = {
        part: rows_frame(rows, part).query("way == 'plain'")["used"].iloc[0]
        for part in ("rigorous", "estimates")
    }
    assert used["rigorous"] == pytest.approx(1 / 2.02)
    assert used["estimates"] == pytest.approx(1 - (1 - 1 / 2.02) / 2, abs=1e-3)


def test_parts_are_measured_by_themselves_and_the_others_stay(tiny, tmp_path):
    out, _, _, before = tiny
    (tmp_path / "rows.json").write_text((out / "rows.json").read_text())
    certificate_study(tmp_path, ("rigorous",), plan=TINY, progress=lambda _: None)
    after = json.loads((tmp_path / "rows.json").read_text())
    key = ("part", "way", "solver", "bound", "error")

    def shown(stored, part):
        return [[row.get(k) for k in key] for row in stored["rows"] if row["part"] == part]

    for part in ("rigorous", "estimates", "depths", "overhead"):  # seeded: the same numbers
        assert shown(after, part) == shown(before, part)


def test_the_page_shows_figures_and_commands(tiny):
    page = (tiny[0] / "tables" / "certificates.md").read_text()
    for words in (
        "python -m bench certificates --out DIR --part rigorous",
        "--timing",
        "plain: 3 trials, 0 bounds below the actual error (0.00 %)",
        "### To 0.01",
        "| denoising(huber) |",
        "every 20",
    ):
        assert words in page


def test_hiding_hides_and_counting_counts():
    problem = small_problem("denoising(huber)", 2)
    batch = problem.train
    T = CountingMap(problem.bind(batch))
    assert isinstance(
        known_constants(CountingMap(problem.bind(batch), hidden=True), problem.criterion(batch)), str
    )
    constants = known_constants(T, problem.criterion(batch))
    step = take_step(restarted_jfb(3, 2), problem, batch, T)
    assert (T.counts.applications, T.counts.products, T.counts.looks) == (9, 3, 0)
    tape_certificate(step, constants)
    assert (T.counts.applications, T.counts.products, T.counts.looks) == (9, 3, 3)
    part = T.select(torch.tensor([1]))
    torch.testing.assert_close(part(step.x[1:]), T(step.x)[1:])
    assert T.counts.applications == 9 + 0.5 + 1, "half of the batch, then all of it"


def test_the_matrices_have_their_tasks_and_our_solvers():
    tasks, solvers = matrix_tasks(), matrix_solvers()
    assert {"deblurring(huber)", "denoising_colour(orientations_colours)", "deblurring(dncnn)"} <= set(tasks)
    assert len(solvers) == len(set(solvers)) == 13
    assert {parse_solver("deq(1e-06)"), parse_solver("restarted_jfb(1, 10)")} <= set(solvers)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--part", "rigourous"], "unknown part 'rigourous'; did you mean rigorous"),
        (["--part", "depths", "--timing"], "--timing measures no other part"),
        (["--images", "/nowhere/at/all"], "no folder"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(words, message, tmp_path, capsys):
    assert message in refused(capsys, ["certificates", "--out", str(tmp_path / "OUT"), *words])
    assert not (tmp_path / "OUT").exists()


def test_an_out_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "rows.json").write_text("[]")
    with pytest.raises(UserError, match="holds no rows of this study"):
        certificate_study(tmp_path, ("rigorous",), plan=TINY, progress=lambda _: None)
