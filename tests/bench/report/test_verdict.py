"""Sentences of runs in which facts were planted, and of the references."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.__main__ import entry
from bench.analysis.pareto import COSTS
from bench.analysis.recommendation import candidates
from bench.analysis.tidy import tidy
from bench.records.store import load
from bench.report.verdict import Limits, run_verdict
from bench.utils.provenance import ROOT
from tests.helpers.page import record, timed
from tests.helpers.records import folder_of

TASK = "deblurring(huber)"
OTHER = "inpainting(huber)"


def said(records, limits=Limits()):
    frame = tidy(records)
    return run_verdict(frame, candidates(frame), limits)


def sentence(records, limits=Limits()):
    """The sentence of a run of one task, of which there is no other."""
    verdict = said(records, limits)
    assert verdict.overall == ""
    (text,) = verdict.tasks.values()
    return text.replace("\u00a0", " ")


def overall(records, limits=Limits()):
    return said(records, limits).overall.replace("\u00a0", " ")


def of_solver(solver, task=TASK, **values):
    return record(task, solver, **values)


def past(of, *psnrs):
    """A record with the PSNR at its depth, and at 10 and 100 times it; ``None`` for a divergence."""
    return replace(
        of,
        values=of.values
        | {"past_psnr": list(psnrs), "past_residuals": [None if psnr is None else 1.0 for psnr in psnrs]},
    )


BEST = of_solver("jfb(9)", loss=1.0, error=0.5, work=8, settled=24.0)


def test_one_estimator_trains_best():
    text = sentence([BEST, of_solver("unrolled(4)", loss=2.0, error=0.5, settled=23.0)])
    assert text.startswith(
        "jfb(9) trains best: 24.00 dB at its equilibrium, 10 products a step, 1 MiB of tape."
    )


def test_of_a_tie_the_cheapest_is_taken():
    text = sentence(
        [replace(BEST, key="x"), of_solver("unrolled(4)", loss=1.001, work=4, error=0.5, settled=24.0)]
    )
    assert "All 2 estimators train alike within noise, so take the cheapest, unrolled(4)" in text


def test_a_tie_of_some_is_of_some():
    third = of_solver("deq(1)", loss=3.0, error=0.5)
    text = sentence([BEST, of_solver("unrolled(4)", loss=1.001, work=4, error=0.5, settled=24.0), third])
    assert text.startswith("2 of 3 estimators train alike")


def test_its_gradient_is_within_too():
    text = sentence([of_solver("deq(1)", error=0.004)])
    assert text.endswith("Its gradient is within 1 %.")
    assert "For a gradient" not in text


def test_another_is_to_be_taken_for_its_gradient():
    text = sentence([BEST, of_solver("deq(1)", loss=2.0, error=0.004, work=30)])
    assert "For a gradient within 1 %, take deq(1): 32 products a step, 1 MiB of tape." in text


def test_no_gradient_is_within():
    text = sentence([BEST, of_solver("deq(1)", loss=2.0, error=0.02)])
    assert "No gradient is within 1 %; the closest is that of deq(1), error 2 %." in text


def test_a_missing_reference():
    text = sentence([of_solver("jfb(9)", error=None)])
    assert "No exact gradient was computed, so errors of gradients are not known." in text
    assert "trains best" in text


def test_a_winner_that_diverges():
    text = sentence(
        [BEST, past(of_solver("unrolled(4)", psnr=29.0, settled=None, error=0.5), 29.0, None, None)]
    )
    assert "jfb(9) trains best" in text
    assert "unrolled(4) has 29.00 dB as trained, but no equilibrium where it stays" in text
    assert "at 10 × the depth it diverges." in text


def test_a_winner_that_ends_lower():
    winner = past(of_solver("unrolled(4)", psnr=29.0, settled=29.0, stays=False, error=0.5), 29.0, 21.0, 20.0)
    assert "at 10 × the depth it ends at 21.00 dB." in sentence([BEST, winner])


def test_nothing_stays():
    lost = of_solver("unrolled(4)", psnr=29.0, settled=None, error=0.5)
    text = sentence([lost])
    assert text.startswith("No trained operator stays at an equilibrium. unrolled(4) has 29.00 dB as trained")


def test_a_library_that_wins():
    text = sentence([BEST, of_solver("torchdeq_ift(9)", loss=0.5, error=0.001, work=5)])
    assert text.startswith("torchdeq_ift(9) (of another library) trains best")
    assert "jfb(9) (of" not in text


def test_a_library_that_wins_on_another_operator():
    text = sentence([BEST, of_solver("torchdeq_ift(9) on admm(2.0)", loss=2.0, error=0.001, work=5)])
    assert "take torchdeq_ift(9) on admm(2.0) (of another library): 7 products" in text


def test_worse_than_the_measurement():
    text = sentence([of_solver("jfb(9)", settled=9.0)])
    assert "That is worse than the measurement, 10.00 dB." in text


def test_all_failed():
    failed = replace(BEST, status="nan", reason="not finite", values={})
    assert said([BEST, replace(failed, key="f", task=OTHER)]).tasks[OTHER] == (
        "No estimator ended well on every seed."
    )


def test_one_seed_failed():
    """An estimator that failed on a seed is not taken, however good it is on the others."""
    good = [of_solver("deq(1)", seed=k, loss=2.0) for k in (0, 1)]
    lucky = of_solver("jfb(9)", seed=0, loss=0.1, work=1)
    failed = replace(of_solver("jfb(9)", seed=1), status="nan", values={})
    assert sentence([*good, lucky, failed]).startswith("deq(1) trains best")


def test_nothing_was_trained():
    text = sentence([of_solver("deq(1)", psnr=None, error=0.004)])
    assert text == "For a gradient within 1 %, take deq(1): 12 products a step, 1 MiB of tape."


def test_costs_alone():
    verdict = said([of_solver("deq(1)", psnr=None, error=None)])
    assert verdict.overall.endswith("so this run compares costs alone.")
    assert verdict.tasks == {}


def test_an_older_record_has_no_training_loss():
    text = sentence([of_solver("deq(1)", loss=None)])
    assert text.startswith("Which operator is trained best is not known")


def test_a_limit_on_the_tape():
    large, small = (
        of_solver("unrolled(9)", loss=1.0, tape=80, work=4),
        of_solver("deq(1)", loss=2.0, error=0.5),
    )
    assert sentence([large, small]).startswith("unrolled(9) trains best")
    limited = sentence([large, small], Limits(memory=8))
    assert limited.startswith("deq(1) trains best")
    assert "No gradient within 1 % keeps to the limit on the tape" in limited
    assert sentence([large, small], Limits(memory=0.5)).startswith(
        "No trained operator has a tape of 0.5 MiB or less."
    )


def test_a_limit_on_the_error():
    rough, exact = of_solver("jfb(9)", error=0.005, work=4), of_solver("deq(1)", error=1e-7, work=90)
    assert "take deq(1): 92 products" in sentence([rough, exact], Limits(within=1e-6))


def test_milliseconds_decide():
    slow, fast = of_solver("deq(1)", loss=2.0, work=4), of_solver("deq(2)", loss=2.0, work=40)
    records = [BEST, slow, fast, timed(BEST, 0.01), timed(slow, 0.5), timed(fast, 0.02)]
    assert "take deq(1): 6 products" in sentence(records)
    assert "take deq(2): 20 ms a step" in sentence(records, Limits(cost=COSTS[1]))


def test_one_choice_for_all_tasks():
    records = [of_solver("deq(1)", task, work=w, error=0.004) for task, w in ((TASK, 10), (OTHER, 30))]
    records += [of_solver("jfb(9)", TASK, work=1, loss=1.001, error=0.5)]
    text = overall(records)
    assert "deq(1) trains as well as any on all 2 tasks, for 12 to 32 products a step." in text
    assert "deq(1) has a gradient within 1 % on all 2 tasks, for 12 to 32 products a step." in text


def test_no_choice_for_all_tasks():
    records = [of_solver("deq(1)", TASK, error=0.004), of_solver("deq(1)", OTHER, error=0.04, loss=2.0)]
    records += [of_solver("jfb(9)", TASK, error=0.5, loss=2.0), of_solver("jfb(9)", OTHER, error=0.004)]
    text = overall(records)
    assert "trains as well as any on 1 of 2 tasks, and none on more" in text
    assert "has a gradient within 1 % on 1 of 2 tasks, and none on more" in text


def test_tasks_without_a_reference_do_not_count():
    records = [of_solver("deq(1)", TASK, error=0.004), of_solver("deq(1)", OTHER, error=None)]
    assert "deq(1) has a gradient within 1 % on the 1 task with an exact gradient" in overall(records)


def test_long_calls_are_cut():
    call = "torchdeq_anderson(35, 15, tol=0, tol_backward=0, m=10, lam=1e-12, lam_backward=1e-16)"
    assert "torchdeq_anderson(35, 15, …) (of another library) trains best" in sentence([of_solver(call)])


@pytest.mark.parametrize(
    "name", ["quick-cpu", "operators-cpu", "paper-small-cpu", "learning-cpu", "plug-and-play-cpu"]
)
def test_every_task_of_a_reference_has_a_sentence(name):
    frame = tidy(load(ROOT / "results" / "reference" / name))
    verdict = run_verdict(frame, candidates(frame))
    assert list(verdict.tasks) == list(frame["heading"].unique())
    assert verdict.overall
    assert all(verdict.tasks.values())


def test_the_command_says_the_same(tmp_path, capsys):
    folder = folder_of([BEST, of_solver("deq(1)", OTHER)], tmp_path / "run")
    assert entry(["advise", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == said(load(folder)).lines()
    assert len(lines) == 3
    assert entry(["advise", str(folder), "--json", "--memory", "0.1"]) == 0
    assert "or less" in capsys.readouterr().out
    assert entry(["advise", str(folder), "--within", "2"]) == 2
    assert entry(["advise", str(tmp_path / "none")]) == 2


def test_what_is_not_measured_is_not_compared():
    """NaN is no PSNR, and no error."""
    verdict = said(
        [of_solver("deq(1)", psnr=None, error=0.004), of_solver("jfb(9)", psnr=None, error=math.nan)]
    )
    (text,) = verdict.tasks.values()
    assert "deq(1)" in text
    assert "jfb(9)" not in text
