"""The loop of every forward solver: its guards, held against steps that go wrong on purpose."""

from __future__ import annotations

import torch

from solvers import Anderson

# Not public: the loop of every forward solver; its guards need steps that no solver makes.
from solvers._forward.loop import run_until_converged
from tests.helpers.tensors import F64


class Scripted:
    """Plain steps, except at the calls named; it remembers what it was told to forget."""

    growing = False
    needs_every_difference = False
    worse = 10.0

    def __init__(self, patience: int, wrong: dict[int, float]) -> None:
        self.patience, self.wrong = patience, wrong
        self.calls = 0
        self.forgotten: list[tuple[int, list[bool]]] = []

    def difference(self, y, x):
        return y - x

    def next(self, y):
        self.calls += 1
        return y * self.wrong[self.calls] if self.calls in self.wrong else y

    def reset(self, lost):
        self.forgotten.append((self.calls, lost.tolist()))

    def freeze(self, ended):
        pass

    def select(self, index):
        raise AssertionError("the map has no select")


def run(step, budget, tol=1e-12, samples=1):
    points: list[torch.Tensor] = []

    def T(x):
        points.append(x.clone())
        return 0.9 * x + 1

    found = run_until_converged(T, torch.zeros(samples, 2, dtype=F64), step, tol, budget, every=1)
    return found, points


def test_a_step_gone_wrong_is_taken_back_from_the_best_point():
    step = Scripted(patience=50, wrong={5: 1e3})
    _, points = run(step, 8)
    # The fifth step leads far away; T is applied there once, and goes on from the image of the best point.
    assert float(points[5].max()) > 100
    torch.testing.assert_close(points[6], 0.9 * points[4] + 1)
    assert step.forgotten == [(6, [True])]


def test_a_step_a_little_worse_is_not_taken_back():
    step = Scripted(patience=50, wrong={5: 1.5})
    _, points = run(step, 8)
    assert step.forgotten == []
    torch.testing.assert_close(points[6], 0.9 * points[5] + 1)


def test_a_nan_is_taken_back_too():
    step = Scripted(patience=50, wrong={3: float("nan")})
    found, _ = run(step, 300, 1e-9)
    assert found.report.converged
    assert step.forgotten == [(4, [True])]


def test_a_sample_without_progress_starts_anew():
    # From the fifth call on the iteration stands still, a little off its best point.
    step = Scripted(patience=3, wrong=dict.fromkeys(range(5, 9), 0.8))
    run(step, 12)
    assert [call for call, _ in step.forgotten][:1] == [8]


def test_the_point_returned_is_the_best_one_seen():
    step = Scripted(patience=50, wrong={5: 1e3})
    found, points = run(step, 6)  # the budget ends at the point gone wrong
    torch.testing.assert_close(found.x, points[4])
    y = 0.9 * points[4] + 1
    assert found.report.residual == float(
        torch.linalg.vector_norm(y - points[4]) / torch.linalg.vector_norm(y)
    )


def test_without_patience_nothing_is_taken_back():
    step = Scripted(patience=0, wrong={5: 1e3})
    found, points = run(step, 6)
    assert step.forgotten == []
    torch.testing.assert_close(found.x, points[5])


def test_only_the_sample_that_went_wrong_is_taken_back():
    class Half(Scripted):
        def next(self, y):
            self.calls += 1
            return y * torch.tensor([[1.0], [1e3]], dtype=F64) if self.calls == 5 else y

    step = Half(patience=50, wrong={})
    _, points = run(step, 8, samples=2)
    assert step.forgotten == [(6, [False, True])]
    torch.testing.assert_close(points[6][0], 0.9 * points[5][0] + 1)
    torch.testing.assert_close(points[6][1], 0.9 * points[4][1] + 1)


def test_a_mixed_point_near_the_tolerance_is_looked_at_at_once():
    """Three differences solve two eigenvalues: the point mixed on the third application is the fixed point."""
    rates, shift = torch.tensor([0.5, 0.2], dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64)

    def T(x):
        return rates * x + shift

    third = Anderson(1e-12, 3)(T, torch.zeros_like(shift)).report
    assert third.residual > 0.01
    for tol in (third.residual / 5, third.residual / 9):
        report = Anderson(tol)(T, torch.zeros_like(shift)).report
        assert report.converged
        assert report.applications == 4
        assert report.residual < 1e-9
    assert Anderson(third.residual / 50)(T, torch.zeros_like(shift)).report.applications == 6
