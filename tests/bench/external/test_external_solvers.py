"""External solvers do what their libraries do, on our maps."""

from __future__ import annotations

import pytest
import torch

from bench.measurement.training import training_step
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
    dense_oracle,
    gradient_of,
    leaves_no_tape,
    relative_error,
    start,
    treats_samples_alone,
)
from tests.helpers.external import DEEPINV, TORCHDEQ, external_solver, left
from tests.helpers.problems import small_problem


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
    "task",
    [
        "deblurring(huber)",
        "inpainting(l1)",
        "denoising_colour(orientations(0.01))",
        "deblurring(huber) by douglas_rachford",
        "inpainting(l1) by peaceman_rachford",
        "denoising_colour(orientations(0.01, 0.1)) by half_quadratic",
    ],
)
def test_a_peer_is_the_solver_of_ours_that_does_the_same(text, same, task):
    """The same image and the same gradient to rounding: one map, one start, one way of stopping."""
    found = small_problem(task, train=2)
    one, _ = training_step(external_solver(text), found, found.train)
    gradient_of_one = left(found)
    two, _ = training_step(same, found, found.train)
    assert relative_error(one.x.detach(), two.x.detach()) < 1e-13
    assert relative_error(gradient_of_one, left(found)) < 1e-11


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("torchdeq_phantom(9, 4, tol=0)", Solver("", FixedSteps(9), TruncatedBackprop(4))),
        ("torchdeq_ift(9, 7, hook=True, tol=0, tol_backward=0)", neumann(9, 7)),
    ],
)
@pytest.mark.parametrize(
    "task",
    [
        "denoising(dncnn) by douglas_rachford",
        "inpainting(union(0.01, 0.02)) by peaceman_rachford",
    ],
)
def test_torchdeq_takes_any_splitting(text, same, task):
    """States that are no images, and an image with a parameter of its own."""
    found = small_problem(task)
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
    "splitting", ["", " by douglas_rachford", " by peaceman_rachford", " by half_quadratic"]
)
@pytest.mark.parametrize(
    "text",
    [
        "deepinv_deq(250, 250, thres=1e-12)",
        "deepinv_anderson(60, 60, 5, 0.9, 1e-14, 10, 1.0, 1e-18, thres=1e-12)",
    ],
)
def test_with_budget_enough_deepinv_is_exact(text, splitting):
    found = small_problem(f"deblurring(huber(0.05, 0.1)){splitting}")
    training_step(Solver("", FixedSteps(250), ImplicitDifferentiation(FixedSteps(250))), found, found.train)
    exact = left(found)
    training_step(external_solver(text), found, found.train)
    assert relative_error(left(found), exact) < 1e-5


def test_samples_of_a_batch_do_not_mix():
    treats_samples_alone(external_solver("torchdeq_ift(40, 40, tol=0, tol_backward=0)"))
    treats_samples_alone(external_solver("torchdeq_broyden(30, 30, tol=0, tol_backward=0, hook=True)"))
    found = small_problem(train=2)
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
    found = small_problem()
    with torch.no_grad():
        solution = external_solver(text)(found.bind(found.train), found.start(found.train))
        assert not torch.is_grad_enabled()
    assert not solution.x.requires_grad
    assert solution.taped_applications == 0
    assert solution.applications > 0
