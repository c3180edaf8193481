"""Texts become values by a parser that evaluates nothing."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.config.call_syntax import LONGEST, signature
from bench.config.matrix import parse_solver, parse_task
from bench.utils.errors import UserError
from solvers import ESTIMATORS, deq, restarted_jfb


def test_a_call_becomes_its_value():
    assert parse_solver("restarted_jfb(10, 4)") == restarted_jfb(10, 4)
    assert parse_solver(" restarted_jfb(R=4, K=10) ") == restarted_jfb(10, 4)
    assert parse_solver("deq") == deq()
    assert parse_solver("deq(tol=1e-8)") == deq(1e-8)


@given(K=st.integers(1, 999), R=st.integers(0, 999))
def test_a_label_reads_back_as_itself(K, R):
    solver = restarted_jfb(K, R)
    again = parse_solver(solver.label)
    assert (again, again.label) == (solver, solver.label)


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_every_example_reads_back_as_itself(estimator):
    assert parse_solver(estimator.example.label) == estimator.example


@pytest.mark.parametrize(
    "text",
    [
        "denoising(huber)",
        "denoising_colour(l1)",
        "deblurring(huber(0.02, 0.05), noise=0.05)",
        "deblurring(l1, blur=2)",
        "deblurring_colour(l1, noise=0.1)",
        "inpainting(huber, lost=0.1)",
        "inpainting_colour(l1, lost=0.25, noise=0.1)",
    ],
)
def test_a_task_reads_back_as_itself(text):
    task = parse_task(text)
    assert task.label == text
    assert parse_task(task.label) == task


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("restart_jfb(1, 1)", "did you mean restarted_jfb"),
        ("quadrature(3)", "known: certified, checkpointed, .*deq, estimated, implicit, jfb"),
        ("restarted_jfb(0, 1)", "K must be at least 1, not 0"),
        ("restarted_jfb(1, -2)", "R must be at least 0, not -2"),
        ("restarted_jfb(1.5, 1)", "K must be a whole number, not 1.5"),
        ("restarted_jfb(1)", "missing a required argument: 'R'"),
        ("restarted_jfb(1, 2, 3)", "too many positional arguments"),
        ("restarted_jfb(1, 2, S=3)", "unexpected keyword argument 'S'"),
        ("jfb", "write jfb\\(N\\)"),
        ("jfb('3')", "arguments are plain numbers"),
        ("jfb(True)", "must be a whole number, not True"),
        ("jfb(jfb(1))", "unknown argument of the solver 'jfb'; known: anderson, cg"),
        ("jfb(*[1])", "cannot read|plain numbers"),
        ("jfb(**{'N': 1})", "cannot read"),
        ("jfb(1) + 1", "write a call such as"),
        ("jfb(1).forward_solver", "write a call such as"),
        ("__import__('os').getcwd()", "write a call such as"),
        ("", "cannot read"),
        ("((((((", "cannot read"),
        ("deq(nan)", "unknown argument of the solver 'nan'"),
        ("deq(1e999)", r"plain numbers up to 1e\+09"),
        ("x" * (LONGEST + 1), "characters"),
    ],
)
def test_a_text_that_is_no_call_gets_one_clear_line(text, message):
    with pytest.raises(UserError, match=message) as caught:
        parse_solver(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deblur", "did you mean deblurring"),
        ("deblurring(hubert)", "did you mean huber"),
        ("deblurring(0.1)", "must be one such as huber or drunet"),
        ("denoising(noise=3)", "noise must lie in"),
        ("inpainting(lost=1)", "lost must lie strictly between 0 and 1"),
        ("denoising(huber(-1))", "smoothing must be a positive number"),
        ("deblurring(blur=0)", "blur must lie in"),
    ],
)
def test_a_task_that_is_none_gets_one_clear_line(text, message):
    with pytest.raises(UserError, match=message):
        parse_task(text)


@given(st.text(max_size=80))
@example("jfb(1)\n")
@example("jfb(-(-1))")
@example("lambda: 0")
@example("\x00")
def test_no_text_makes_anything_but_a_solver_or_a_clear_error(text):
    try:
        assert parse_solver(text).label
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_a_signature_can_be_pasted():
    assert signature("deq", deq) == "deq(tol=1e-06, budget=200)"
