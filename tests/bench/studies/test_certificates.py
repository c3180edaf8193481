"""The study of certificates: a tiny one for real, and its pure functions on rows made by hand."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
import torch

from bench.__main__ import entry
from bench.config.matrix import parse_solver, parse_task
from bench.measurement.training import parameters
from bench.studies.certificates.certified_step import (
    CountingMap,
    known_constants,
    take_step,
    tape_certificate,
    timed_audit,
)
from bench.studies.certificates.cheapest_depth import (
    GradientAtDepth,
    TapedIteration,
    backpropagated,
    cheapest_depths,
)
from bench.studies.certificates.overhead import Overhead
from bench.studies.certificates.study import CertificateStudy, certificate_study
from bench.studies.certificates.tables import (
    against_best,
    certificates_markdown,
    judged,
    overheads,
    rows_frame,
    trial_summary,
)
from bench.studies.certificates.trials import CertificateTrial, matrix_solvers, matrix_tasks, trial_reference
from bench.studies.gradients import flatten
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from bench.utils.errors import UserError
from solvers import jfb, neumann, phantom, restarted_jfb, unrolled

TINY = CertificateStudy(
    tasks=("denoising(huber)", "deblurring(l1)"),
    networks=(),
    solvers=("jfb(2)", "neumann(4, 3)", "deq(1e-06)"),
    rigorous=(1, 1),
    estimates=(1, 1),
    rtols=(1e-1, 1e-2),
    crop=32,
    grid=(1e-1, 1e-2, 1e-3),
    timed=("jfb(2)",),
    timed_tasks=("denoising(huber)",),
    timed_crop=32,
    rounds=3,
)


def trial(**changed):
    fields = {"task": "t", "solver": "jfb(2)", "seed": 0, "image": 0, "crop": 32, "matrix": True, "L": 0.5}
    fields |= {"part": "rigorous", "way": "plain", "bound": 1.0, "least": 0.0, "error": 0.5, "exact": 1.0}
    return asdict(CertificateTrial(**(fields | changed)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    told = []
    files = certificate_study(
        out, ("rigorous", "estimates", "depths", "overhead"), plan=TINY, progress=told.append
    )
    return out, files, told, json.loads((out / "rows.json").read_text())


def test_the_study_measures_contractive_tasks_alone(tiny):
    _, files, told, stored = tiny
    assert {row["task"] for row in stored["rows"]} == {"denoising(huber)"}
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
    assert count == {"rigorous": 6, "estimates": 6, "depths": 8, "overhead": 3}


def test_its_bounds_hold_and_its_parts_differ_in_what_they_know(tiny):
    rows = tiny[3]["rows"]
    for part, rigorous in (("rigorous", True), ("estimates", False)):
        trials = judged(rows_frame(rows, part))
        assert len(trials) == 6
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


def test_the_search_for_a_depth_finds_what_the_solvers_do(tiny):
    table = against_best(rows_frame(tiny[3]["rows"], "depths"))
    assert len(table) == 2
    assert table["reached"].all()
    assert table["met"].all()
    assert (table["error"] <= table["bound"]).all()
    problem = build_problem(
        parse_task("denoising(huber)"), find_images(), Layout(32, 1, 1), 0, dtype=torch.float64
    )
    exact = trial_reference(problem, problem.train)
    for row in table.itertuples():
        step = take_step(
            parse_solver(row.fixed), problem, problem.train, problem.bind(problem.train), record=False
        )
        assert step.applications + step.products == row.fixed_cost
        assert torch.linalg.vector_norm(
            flatten(step.gradient) - exact
        ) <= row.rtol * torch.linalg.vector_norm(exact)


def test_no_cheaper_depth_was_overlooked():
    problem = build_problem(
        parse_task("inpainting(huber)"), find_images(), Layout(32, 1, 1), 0, dtype=torch.float64
    )
    batch, exact = problem.train, trial_reference(problem, problem.train)
    path = TapedIteration(
        problem.bind(batch), lambda x: problem.loss(x, batch), parameters(problem), [problem.start(batch)]
    )
    rtol = 0.5
    found = cheapest_depths(path, exact, [rtol])
    assert found.best[rtol].call
    below = found.best[rtol].cost
    for K, R in ((1, 7), (5, 3), (10, 2), (20, 1), (30, 0), (30, 1), (10, 5)):
        for solver in (
            restarted_jfb(K, R),
            neumann(K * R + 3, K),
            unrolled(K + R),
            jfb(K * R),
            phantom(K * R, K, 1.0),
        ):
            step = take_step(solver, problem, batch, problem.bind(batch), record=False)
            error = torch.linalg.vector_norm(flatten(step.gradient) - exact) / torch.linalg.vector_norm(exact)
            assert error > rtol or step.applications + step.products >= below, solver


@pytest.mark.parametrize(
    "solver", [restarted_jfb(3, 2), neumann(6, 4), unrolled(5), jfb(4), phantom(4, 3, 1.0)]
)
def test_a_path_gives_the_gradients_of_the_solvers(solver):
    problem = build_problem(
        parse_task("deblurring(huber)"), find_images(), Layout(32, 1, 1), 0, dtype=torch.float64
    )
    batch = problem.train
    path = TapedIteration(
        problem.bind(batch), lambda x: problem.loss(x, batch), parameters(problem), [problem.start(batch)]
    )
    step = take_step(solver, problem, batch, problem.bind(batch), record=False)
    M, K = int(step.applications), int(step.products)  # of a batch of one: whole
    ends = [M - 1] * K if solver.label.startswith("neumann") else range(M - 1, M - 1 - K, -1)
    *_, gradient = path.gradients(ends, M)
    torch.testing.assert_close(gradient, flatten(step.gradient))


def problem_of(task):
    problem = build_problem(parse_task(task), find_images(), Layout(32, 1, 1), 0, dtype=torch.float64)
    batch = problem.train
    path = TapedIteration(
        problem.bind(batch), lambda x: problem.loss(x, batch), parameters(problem), [problem.start(batch)]
    )
    return problem, batch, path


def test_the_search_agrees_with_trying_everything():
    problem, batch, path = problem_of("denoising(huber)")
    exact = trial_reference(problem, batch)
    found = cheapest_depths(path, exact, [3e-1, 1e-2, 1e-4])
    size = torch.linalg.vector_norm(exact)
    costs = {rtol: [math.inf] for rtol in found.best}
    for M in range(1, 20):
        for ends in (range(M - 1, -1, -1), [M - 1] * 20):
            for K, gradient in enumerate(path.gradients(ends, M), start=1):
                for rtol in costs:
                    if torch.linalg.vector_norm(gradient - exact) <= rtol * size:
                        costs[rtol].append(M + K)
    assert {rtol: best.cost for rtol, best in found.best.items()} == {r: min(c) for r, c in costs.items()}


@pytest.mark.parametrize(("M", "K"), [(5, 5), (6, 1), (6, 3), (7, 3)])
def test_a_depth_is_called_what_makes_it(M, K):
    problem, batch, path = problem_of("deblurring(huber)")
    step = take_step(parse_solver(backpropagated(M, K)), problem, batch, problem.bind(batch), record=False)
    *_, gradient = path.gradients(range(M - 1, M - 1 - K, -1), M)
    torch.testing.assert_close(gradient, flatten(step.gradient))
    assert (step.applications, step.products) == (M, K)


def test_a_hidden_audit_is_told_nothing_of_the_loss_either(monkeypatch):
    from bench.studies.certificates import certified_step as module
    from solvers import Smooth

    problem, batch, _ = problem_of("denoising(huber)")
    step = take_step(neumann(6, 4), problem, batch, problem.bind(batch))
    assert (step.applications, step.products) == (7, 4)
    told = []
    monkeypatch.setattr(module, "audited", lambda T, x, loss, *_, **__: told.append(isinstance(loss, Smooth)))
    for hidden in (False, True):
        timed_audit(problem, batch, step, hidden)
    assert told == [True, False]


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


def test_a_violation_shows_and_the_shares_are_right():
    rows = [trial(seed=i) for i in range(97)]
    rows += [
        trial(bound=0.49),
        trial(bound=math.nan),
        trial(least=0.51),
        trial(bound=0.5 * (1 - 1e-10)),  # rounding
        trial(bound=0.0, error=5e-13),  # so is this
        trial(status="no certificate", bound=math.inf),
        trial(status="no reference", error=math.nan),
    ]
    (every,) = trial_summary(rows_frame(rows, "rigorous")).itertuples()
    assert (every.trials, every.violations, every.above) == (102, 2, 1)
    assert every.share == pytest.approx(2 / 102)
    assert (every.no_certificate, every.no_reference, every.unranked) == (1, 1, 1)
    page = certificates_markdown(rows, ["a fact"])
    assert "plain: 102 trials, 2 bounds below the actual error (1.96 %)" in page
    assert "- a fact" in page


def test_quantiles_are_over_errors_that_the_reference_can_tell():
    rows = [trial(bound=0.5 * factor) for factor in (1, 2, 3, 4, 11)]
    rows += [trial(bound=1.0, error=1e-11)] * 9
    rows += [trial(way="audit", bound=0.6)]
    plain_, audit = trial_summary(rows_frame(rows, "rigorous")).itertuples()
    assert (plain_.median, plain_.unranked) == (3, 9)
    assert plain_.p90 == pytest.approx(4 + 0.6 * 7)
    assert (audit.way, audit.median) == ("audit", 1.2)


def depth(kind, rtol=0.01, **changed):
    fields = {"part": "depths", "task": "t", "crop": 32, "L": 0.5, "rtol": rtol, "kind": kind, "call": "c"}
    return asdict(
        GradientAtDepth(**(fields | {"applications": 10, "products": 10, "error": 0.005} | changed))
    )


def test_costs_are_held_against_the_best_and_misses_are_shown():
    rows = [
        depth("certified", applications=20, products=11, looks=7),
        depth("certified, estimated"),
        depth("fixed depth"),
        depth("tolerances", applications=5, products=5),
        depth("certified", rtol=0.001, error=0.002),
        depth("certified, estimated", rtol=0.001),
        depth("fixed depth", rtol=0.001, call="", applications=0, products=0, error=math.nan),
        depth("tolerances", rtol=0.001),
    ]
    easy, hard = against_best(rows_frame(rows, "depths")).itertuples()
    assert (easy.cost, easy.looks, easy.times_fixed, easy.times_tolerances) == (31, 7, 1.55, 3.1)
    assert (easy.reached, hard.reached) == (True, False)
    assert math.isnan(hard.times_fixed)
    page = certificates_markdown(rows, [])
    assert "within 0.01 on 1 of 1 tasks, and it costs at most 1.5 × the best fixed depth on 0 of 1" in page
    assert "within 0.001 on 0 of 1 tasks" in page


def test_overheads_are_shares_of_a_step():
    fields = ("overhead", "t", "jfb(2)", 32, "float64")
    rows = [
        asdict(Overhead(*fields, "plain", [1.1, 1.3, 9.0], [1.0, 1.0, 1.0])),
        asdict(Overhead(*fields, "audit", [1.0, 2.0, 3.0], [1.0, 1.0, 1.0])),
    ]
    each, audit = overheads(rows_frame(rows, "overhead")).itertuples(index=False)
    assert each.each == pytest.approx(0.3)
    assert audit.each == pytest.approx(2.0)
    assert audit[5:7] == pytest.approx((0.1, 0.02))


def test_hiding_hides_and_counting_counts():
    problem = build_problem(
        parse_task("denoising(huber)"), find_images(), Layout(32, 2, 1), 0, dtype=torch.float64
    )
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
    assert len(solvers) == len(set(solvers)) == 20
    assert {parse_solver("deq(1e-09)"), parse_solver("restarted_jfb(1, 10)")} <= set(solvers)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--part", "rigourous"], "unknown part 'rigourous'; did you mean rigorous"),
        (["--part", "depths", "--timing"], "--timing measures no other part"),
        (["--images", "/nowhere/at/all"], "no folder"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(words, message, tmp_path, capsys):
    assert entry(["certificates", "--out", str(tmp_path / "OUT"), *words]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert message in captured.err
    assert not (tmp_path / "OUT").exists()


def test_an_out_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "rows.json").write_text("[]")
    with pytest.raises(UserError, match="holds no rows of this study"):
        certificate_study(tmp_path, ("rigorous",), plan=TINY, progress=lambda _: None)
