"""Labels and refusals of external solvers."""

from __future__ import annotations

import ast
import inspect
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from bench import external
from bench.config.call_syntax import parse_call
from bench.config.matrix import parse_task
from bench.external import EXTERNAL_SOLVERS, DeepInverse, ExternalSolver
from bench.external import base as base_module
from bench.operators import ForwardBackward
from bench.utils.errors import UserError
from solvers.conformance import (
    Contraction,
    start,
)
from tests.helpers.external import DEEPINV, TORCHDEQ, external_solver
from tests.helpers.problems import small_problem


@pytest.mark.parametrize("text", TORCHDEQ + DEEPINV)
def test_a_label_is_the_call_that_makes_it(text):
    one = external_solver(text)
    again = external_solver(one.label)
    assert (again, again.label) == (one, one.label)
    assert isinstance(one, ExternalSolver)
    assert one.composition.startswith(("torchdeq 0.1.0: ", "deepinv 0.5."))


def test_labels_show_budgets_and_leave_defaults_out():
    assert external_solver("deepinv_deq").label == "deepinv_deq(100, 50)"
    assert external_solver("deepinv_jfb(max_iter=7)").label == "deepinv_jfb(7)"
    assert external_solver("torchdeq_ift(9, 8, False, 1e-3)").label == "torchdeq_ift(9, 8)"
    assert (
        external_solver("torchdeq_ift(9, hook=True, tol=0.0)").label
        == "torchdeq_ift(9, 40, hook=True, tol=0.0)"
    )


def test_peers_are_equal_by_what_they_do():
    assert external_solver("deepinv_deq(9, 7, history=3)") == external_solver("deepinv_deq(9, 7)"), (
        "it mixes nothing"
    )
    assert external_solver("deepinv_deq(9, 7)") != external_solver("deepinv_deq(9, 8)")
    assert external_solver("torchdeq_ift(9, 7)") != external_solver("torchdeq_ift(9, 7, hook=True)")
    assert external_solver("torchdeq_anderson(9, 7)") != external_solver("torchdeq_broyden(9, 7)")
    assert len({external_solver("deepinv_jfb(3)"), external_solver("deepinv_jfb(3)")}) == 1


def test_every_setting_is_in_the_composition():
    for text, name in (
        ("torchdeq_anderson(12, 9)", "torchdeq_anderson"),
        ("deepinv_anderson(9, 7)", "deepinv_anderson"),
    ):
        base = external_solver(text).composition
        for key, p in list(inspect.signature(EXTERNAL_SOLVERS[name]).parameters.items())[2:]:
            changed = (not p.default) if isinstance(p.default, bool) else (p.default or 2) * 2
            assert (
                parse_call(f"{text[:-1]}, {key}={changed})", EXTERNAL_SOLVERS, "external solver").composition
                != base
            ), key


def test_deepinv_says_what_it_cannot_take():
    one = external_solver("deepinv_deq(9, 7)")
    with pytest.raises(UserError, match="leave it out"):
        one(Contraction(), start(2, 6))
    for text in ("denoising(union)", "deblurring(orientations(coupled=True))"):
        found = small_problem(text)
        assert not DeepInverse.admits(found.operator), text
        assert not DeepInverse.admits(parse_task(text).prior), text
        with pytest.raises(UserError, match=r"deepinv_deq\(9, 7\) runs on"):
            one(found.bind(found.train), found.start(found.train))
    for text in ("denoising(l1)", "inpainting(huber)", "denoising_colour(colours)"):
        assert DeepInverse.admits(small_problem(text).operator), text
        assert DeepInverse.admits(parse_task(text).prior), text
    learned = ForwardBackward(small_problem().operator.prior, learn_step=True)
    assert not DeepInverse.admits(learned), "deepinv would hold its step constant"
    for text in ("denoising(union)", "denoising(dncnn)"):
        assert external.TorchDEQ.admits(parse_task(text).prior), text
    assert not DeepInverse.admits(parse_task("denoising(dncnn)").prior)
    assert not external.TorchDEQ.admits(parse_task("denoising(dncnn(layers=3))").prior)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deepinv_deq(0, 7)", "max_iter"),
        ("deepinv_deq(9, 0)", "backward"),
        ("deepinv_deq(9, 2.5)", "backward"),
        ("deepinv_deq(9, 7, anderson=1)", "anderson must be True or False"),
        ("deepinv_deq(9, 7, thres=-1)", "thres"),
        ("deepinv_deq(9, 7, treshold=1)", "treshold"),
        ("torchdeq_ift(0)", "number of iterations"),
        ("torchdeq_ift(9, 7, hook=2)", "hook must be True or False"),
        ("torchdeq_ift(9, 7, tol=1e999)", r"plain numbers up to 1e\+09"),
        ("torchdeq_anderson(9, 7, m=1)", "m must be a whole number of at least 2"),
        ("torchdeq_phantom(9, 0)", "steps"),
    ],
)
def test_bad_arguments_get_one_clear_line(text, message):
    with pytest.raises(UserError, match=message) as caught:
        external_solver(text)
    assert "\n" not in str(caught.value)


def test_a_missing_torchdeq_is_named_with_what_to_install(monkeypatch):
    def missing(library):
        raise PackageNotFoundError(library)

    monkeypatch.setattr(base_module, "version", missing)
    base_module.installed.cache_clear()
    try:
        with pytest.raises(UserError, match="torchdeq is not installed: install the dependency group peers"):
            external_solver("torchdeq_ift(9, 7)")
    finally:
        base_module.installed.cache_clear()


def test_nothing_imports_torchdeq_before_it_is_called():
    for file in Path(external.__file__).parent.glob("*.py"):
        for node in ast.parse(file.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert not any(n.split(".")[0] == "torchdeq" for n in names), file.name
