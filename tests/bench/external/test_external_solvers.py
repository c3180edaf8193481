"""External solvers do what their libraries do, on our maps, and are counted truly."""

from __future__ import annotations

import ast
import inspect
import time
from functools import partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from bench import external
from bench.config.call_syntax import parse_call
from bench.config.matrix import parse_task
from bench.external import EXTERNAL_SOLVERS, DeepInverse, ExternalSolver
from bench.external import base as base_module
from bench.measurement.training import parameters, training_step
from bench.operators import ForwardBackward
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from bench.utils.errors import UserError
from solvers import (
    FixedSteps,
    ImplicitDifferentiation,
    Solution,
    Solver,
    TruncatedBackprop,
    jfb,
    neumann,
    unrolled,
)
from solvers.conformance import (
    Contraction,
    CountedMap,
    counts_truly,
    dense_oracle,
    gradient_of,
    leaves_no_tape,
    quadratic,
    relative_error,
    start,
    treats_samples_alone,
)

TORCHDEQ = [
    "torchdeq_ift",
    "torchdeq_ift(30, 7, tol=0, tol_backward=0)",
    "torchdeq_ift(30, 7, hook=True, relative=True)",
    "torchdeq_anderson(12, 9)",
    "torchdeq_anderson(12, 9, m=3, lam=1e-10, lam_backward=1e-14, hook=True)",
    "torchdeq_broyden(12, 9)",
    "torchdeq_broyden(12, 9, memory=4, hook=True, tol=0)",
    "torchdeq_phantom",
    "torchdeq_phantom(10, 4, damping=0.5)",
]
DEEPINV = [
    "deepinv_deq(9, 7)",
    "deepinv_deq(9, 7, anderson=True, history=3, regularisation=1e-12, thres=0)",
    "deepinv_deq(60, 60, thres=1e-2, early_stop=True)",
    "deepinv_anderson(9, 7, 3, 1.0, 1e-12)",
    "deepinv_jfb(9)",
    "deepinv_unfolded(9)",
]


def external_solver(text):
    return parse_call(text, EXTERNAL_SOLVERS, "external solver")


def problem(text="deblurring(huber)", crops=1):
    return build_problem(parse_task(text), find_images(), Layout(32, crops, 1), 0, dtype=torch.float64)


def left(found):
    return torch.cat([p.grad.flatten() for p in parameters(found)])


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


@pytest.mark.parametrize("text", TORCHDEQ)
def test_torchdeq_is_counted_truly(text):
    counts_truly(external_solver(text))


@pytest.mark.parametrize("text", DEEPINV)
def test_deepinv_is_counted_truly(text):
    """It never calls T, but its prox once for each application: counted there, from outside."""
    found = problem()
    assert isinstance(found.operator, ForwardBackward)
    penalty, step = found.operator.prior, found.operator.log_step.exp()
    seen = CountedMap(partial(type(penalty).prox, penalty, step=step))
    penalty.prox = lambda z, step: seen(z)
    solution, _ = training_step(external_solver(text), found, found.train)
    assert (solution.applications, solution.vjps) == (seen.applications, seen.vjps)
    assert solution.vjps > 0


def test_the_parts_of_the_count_are_what_they_say():
    T = Contraction()
    for text, untaped, taped, adjoint, again in (
        ("torchdeq_ift(9, 7, tol=0, tol_backward=0)", 9, 1, 7, 1),
        ("torchdeq_ift(9, 7, hook=True, tol=0, tol_backward=0)", 9, 1, 7, 0),
        ("torchdeq_phantom(9, 4, tol=0)", 9, 4, None, 0),
    ):
        solution = external_solver(text)(T, start(2, 6))
        assert (solution.forward.applications, solution.taped_applications, solution.adjoint) == (
            untaped,
            taped,
            [],
        )
        quadratic(solution.x).backward()
        assert [report.applications for report in solution.adjoint] == ([adjoint] if adjoint else [])
        assert sum(solution.recomputed) == again
    found = problem()
    solution, _ = training_step(external_solver("deepinv_deq(9, 7, thres=0)"), found, found.train)
    assert (solution.forward.applications, solution.taped_applications) == (9, 2)
    assert [report.applications for report in solution.adjoint] == [7]


@pytest.mark.parametrize("method", ["ift", "broyden", "anderson"])
def test_each_way_stops_by_a_tolerance_of_its_own(method):
    def work(words, scale=1.0):
        solution = external_solver(f"torchdeq_{method}(40, 30, hook=True, {words})")(
            Contraction(), start(2, 6)
        )
        (scale * quadratic(solution.x)).backward()
        return solution.forward.applications, solution.adjoint[0].applications

    most = work("tol=0, tol_backward=0")
    assert min(most) >= 30
    forward, backward = work("tol=0.5, tol_backward=0"), work("tol=0, tol_backward=0.5")
    assert forward[0] < 20 < forward[1]
    assert backward[1] < 20 < backward[0]
    given = "tol=1e-4, tol_backward=1e-4"
    if method != "anderson":  # whose regularisation is absolute whatever its tolerance is
        assert work(f"{given}, relative=True", 1e-3) == work(f"{given}, relative=True")
    assert work(given, 1e-3)[1] < work(given)[1]


def test_counting_takes_microseconds():
    counter = base_module.CallCounter(1)
    y = torch.ones(1, requires_grad=True)
    seconds = []
    for _ in range(200):
        z = y * 1
        begin = time.perf_counter()
        counter.count(z)
        seconds.append(time.perf_counter() - begin)
    assert sorted(seconds)[100] < 3e-5


def _one_further(N, K):
    """``B`` where N applications end and ``J`` one application further: what deepinv and ``ift=True`` do."""

    def solve(T, x0, loss=None):
        with torch.no_grad():
            x = FixedSteps(N)(T, x0).x
        y = T(x)
        h = y.detach().requires_grad_()
        f = T(h)

        def exchange(v):
            u = v
            for _ in range(K - 1):
                (pulled,) = torch.autograd.grad(f, h, u, retain_graph=True)
                u = v + pulled
            return u

        y.register_hook(exchange)
        return Solution(y, FixedSteps(N)(T, x0).report, 2)

    return solve


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("deepinv_unfolded(7)", unrolled(7)),
        ("deepinv_jfb(9)", jfb(9)),
        ("deepinv_deq(9, 7, thres=0)", _one_further(9, 8)),
        ("torchdeq_phantom(9, 4, tol=0)", Solver("", FixedSteps(9), TruncatedBackprop(4))),
        ("torchdeq_phantom(9, 4, damping=0.5, tol=0)", Solver("", FixedSteps(9), TruncatedBackprop(4, 0.5))),
        ("torchdeq_phantom(9, tol=0)", jfb(9)),
        ("torchdeq_ift(9, 7, hook=True, tol=0, tol_backward=0)", neumann(9, 7)),
        ("torchdeq_ift(9, 7, tol=0, tol_backward=0)", _one_further(9, 7)),
    ],
)
@pytest.mark.parametrize(
    "task", ["deblurring(huber)", "inpainting(l1)", "denoising_colour(orientations(0.01))"]
)
def test_a_peer_is_the_solver_of_ours_that_does_the_same(text, same, task):
    """The same image and the same gradient to rounding: one map, one start, one way of stopping."""
    found = problem(task, crops=2)
    one, _ = training_step(external_solver(text), found, found.train)
    gradient_of_one = left(found)
    two, _ = training_step(same, found, found.train)
    assert relative_error(one.x.detach(), two.x.detach()) < 1e-13
    assert relative_error(gradient_of_one, left(found)) < 1e-11


@pytest.mark.parametrize(
    "text",
    [
        "torchdeq_ift(300, 300, tol=0, tol_backward=0)",
        "torchdeq_anderson(60, 60, tol=1e-13, tol_backward=1e-13, lam=1e-20, lam_backward=1e-20)",
        "torchdeq_broyden(60, 60, tol=1e-13, tol_backward=1e-13)",
        "torchdeq_phantom(200, 200, tol=0)",
    ],
)
def test_with_budget_enough_torchdeq_is_exact(text):
    T = Contraction()
    assert (
        relative_error(gradient_of(external_solver(text), T, start(2, 6))[0], dense_oracle(T, start(2, 6)))
        < 1e-9
    )


@pytest.mark.parametrize(
    "text",
    [
        "deepinv_deq(250, 250, thres=1e-12)",
        "deepinv_anderson(60, 60, 5, 0.9, 1e-14, 10, 1.0, 1e-18, thres=1e-12)",
    ],
)
def test_with_budget_enough_deepinv_is_exact(text):
    found = problem("deblurring(huber(0.05, 0.1))")
    training_step(Solver("", FixedSteps(250), ImplicitDifferentiation(FixedSteps(250))), found, found.train)
    exact = left(found)
    training_step(external_solver(text), found, found.train)
    assert relative_error(left(found), exact) < 1e-5


def test_samples_of_a_batch_do_not_mix():
    treats_samples_alone(external_solver("torchdeq_ift(40, 40, tol=0, tol_backward=0)"))
    treats_samples_alone(external_solver("torchdeq_broyden(30, 30, tol=0, tol_backward=0, hook=True)"))
    found = problem(crops=2)
    solve = external_solver("deepinv_deq(30, 20, thres=0)")
    training_step(solve, found, found.train)
    together, alone = left(found), []
    for i in range(2):
        training_step(solve, found, found.train.select(torch.tensor([i])))
        alone.append(left(found))
    assert relative_error(together, torch.stack(alone).mean(0)) < 1e-12


def test_a_vector_is_a_single_sample():
    T = Contraction()
    one = external_solver("torchdeq_ift(30, 20, tol=1e-3)")
    alone, _ = gradient_of(one, T, start(6))
    assert torch.equal(alone, gradient_of(one, T, start(6)[None])[0])
    p = torch.ones(6, dtype=torch.float64, requires_grad=True)
    shapes = []
    one(lambda x: shapes.append(x.shape) or 0.5 * (x + p), start(6)).x.sum().backward()
    assert set(shapes) == {(6,)}


@pytest.mark.parametrize("change", ["m=3", "lam=1e-2", "tau=0.7", "lam_backward=1e-2"])
def test_what_torchdeqs_anderson_is_given_it_uses(change):
    T, base = Contraction(), "tol=0, tol_backward=0"
    plain, _ = gradient_of(external_solver(f"torchdeq_anderson(9, 9, {base})"), T, start(2, 6))
    changed, _ = gradient_of(external_solver(f"torchdeq_anderson(9, 9, {base}, {change})"), T, start(2, 6))
    assert not torch.equal(plain, changed)


@pytest.mark.parametrize("text", ["torchdeq_ift(9, 7)", "torchdeq_phantom(9, 3)", "torchdeq_broyden(9, 7)"])
def test_counting_keeps_no_tape_alive(text):
    leaves_no_tape(external_solver(text))


@pytest.mark.parametrize("text", TORCHDEQ + DEEPINV)
def test_without_gradients_there_is_a_plain_solution(text):
    found = problem()
    with torch.no_grad():
        solution = external_solver(text)(found.bind(found.train), found.start(found.train))
        assert not torch.is_grad_enabled()
    assert not solution.x.requires_grad
    assert solution.taped_applications == 0
    assert solution.applications > 0


def test_deepinv_says_what_it_cannot_take():
    one = external_solver("deepinv_deq(9, 7)")
    with pytest.raises(UserError, match="leave it out"):
        one(Contraction(), start(2, 6))
    for text in ("denoising(union)", "deblurring(orientations(coupled=True))"):
        found = problem(text)
        assert not DeepInverse.admits(found.operator), text
        assert not DeepInverse.admits(parse_task(text).prior), text
        with pytest.raises(UserError, match=r"deepinv_deq\(9, 7\) runs on"):
            one(found.bind(found.train), found.start(found.train))
    for text in ("denoising(l1)", "inpainting(huber)", "denoising_colour(colours)"):
        assert DeepInverse.admits(problem(text).operator), text
        assert DeepInverse.admits(parse_task(text).prior), text
    learned = ForwardBackward(problem().operator.prior, learn_step=True)
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
