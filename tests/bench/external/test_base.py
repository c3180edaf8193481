"""Labels and refusals of external solvers."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from deepinv.optim import DRS, L2, ZeroPrior

from bench import external
from bench.config.call_syntax import parse_call
from bench.config.matrix import parse_task, refusal
from bench.external import EXTERNAL_SOLVERS, DeepInverse, ExternalSolver
from bench.external import base as base_module
from bench.operators import ForwardBackward
from bench.utils.errors import UserError
from solvers.conformance import (
    Contraction,
    start,
)
from tests.helpers.external import DEEPINV, TORCHDEQ, external_solver
from tests.helpers.problems import small_problem, task_by


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
    for text in (
        "denoising(union)",
        "deblurring(orientations(coupled=True))",
        "denoising(dncnn)",
        "denoising(union) by douglas_rachford",
        "denoising(dncnn) by douglas_rachford",
    ):
        found, task = small_problem(text), task_by(text)
        assert not DeepInverse.admits(found.operator), text
        assert not DeepInverse.admits(task.prior, task.splitting), text
        assert refusal(task, one), text
        with pytest.raises(UserError, match=r"deepinv_deq\(9, 7\) runs on .*: leave it out") as caught:
            one(found.bind(found.train), found.start(found.train))
        assert "\n" not in str(caught.value)
    for text in (
        "denoising(l1)",
        "inpainting(huber)",
        "denoising_colour(colours)",
        "inpainting(huber) by peaceman_rachford",
        "denoising(l1) by douglas_rachford(0.3, 2)",
        "deblurring(huber) by half_quadratic",
    ):
        task = task_by(text)
        assert DeepInverse.admits(small_problem(text).operator), text
        assert DeepInverse.admits(task.prior, task.splitting), text
        assert not refusal(task, one), text
    learned = ForwardBackward(small_problem().operator.prior, learn_step=True)
    assert not DeepInverse.admits(learned), "deepinv would hold its step constant"
    unknown = SimpleNamespace(label="a user's own", refusal=lambda prior: "")
    task = parse_task("denoising(huber)")
    assert not DeepInverse.admits(task.prior, unknown)
    assert refusal(replace(task, splitting=unknown), one)
    for text in ("denoising(union)", "denoising(dncnn)", "denoising(dncnn) by douglas_rachford"):
        task = task_by(text)
        assert external.TorchDEQ.admits(task.prior, task.splitting), text
    assert not external.TorchDEQ.admits(parse_task("denoising(dncnn(layers=3))").prior)


def test_deepinvs_own_douglas_rachford_has_no_deep_equilibrium():
    """Its adjoint iteration gives the iteration a single variable: the reason for ``DouglasRachfordOnState``."""
    found = small_problem("deblurring(huber) by douglas_rachford")
    y, physics = found.train.y, found.physics
    with pytest.raises(TypeError):
        DRS(L2(), ZeroPrior(), unfold=True, trainable_params=[], max_iter=2, DEQ=True)(y, physics)
    # Anderson acceleration moves x, and the next iteration reads z.
    plain, mixed = (
        DRS(
            L2(),
            ZeroPrior(),
            unfold=True,
            trainable_params=[],
            max_iter=6,
            anderson_acceleration=a,
            get_output=lambda X: X["est"][1],
        )(y, physics)
        for a in (False, True)
    )
    assert torch.equal(plain, mixed)


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
