"""A captured map: values and derivatives of the eager one, replayed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import bench.operators.compiled
from bench.measurement.memory import peak_bytes
from bench.measurement.training import parameters, training_step
from bench.operators import BoundOperator
from bench.operators.compiled import prepare_map
from bench.operators.cuda_graphs import Capture, capture
from bench.timing import test_step as timing
from bench.timing.conftest import default_jobs
from solvers import deq, neumann, unrolled
from tests.helpers.compiled import assert_same, assert_trains_alike, draw, gpu, same_gradient, steps
from tests.helpers.problems import small_problem
from tests.helpers.timing import pedantic_benchmark


class Static:
    """``Capture`` without a GPU: one tape, on memory that the next one takes."""

    made = 0

    def __init__(self, T, like):
        type(self).made += 1
        self.T, self.start = T, torch.zeros_like(like).requires_grad_()
        self.values = self.tapes = self.vjps = 0
        self.learned = [p for p in T.operator.parameters() if p.requires_grad]

    def value(self, x):
        self.values += 1
        return self.T(x)

    def record(self, x):
        self.tapes += 1
        with torch.no_grad():
            self.start.copy_(x)
        with torch.enable_grad():
            self.taped = self.T(self.start)
        return self.taped.detach().clone()

    def vjp(self, v):
        self.vjps += 1
        return torch.autograd.grad(self.taped, self.start, v, retain_graph=True)[0]


@pytest.fixture
def static(monkeypatch):
    monkeypatch.setattr(Static, "made", 0)
    monkeypatch.setattr(bench.operators.compiled, "Capture", Static)


def test_replays_are_the_map_and_parameters_cost_nothing_until_asked_for(monkeypatch):
    p = small_problem(train=2)
    T, x = p.bind(p.train), p.start(p.train)
    made, calls, call = capture(T, x, Static), [], BoundOperator.__call__

    def counting(bound, x):
        if bound is T:
            calls.append(x)
        return call(bound, x)

    monkeypatch.setattr(BoundOperator, "__call__", counting)
    # Of its own, so that only what the graphs ask of T is counted.
    assert_same(made, p.bind(p.train), x, parameters(p))
    assert len(calls) == 2  # once each time that parameters were asked for
    assert (made.memory.replay.tapes, made.memory.replay.vjps) == (1, 4)
    made.select(torch.tensor([0]))(x[:1])


def test_two_open_tapes_do_not_mix():
    p = small_problem(train=2)
    T, x = p.bind(p.train), p.start(p.train)
    made = capture(T, x, Static)
    for f in (unrolled(3), unrolled(1), neumann(3, 4), deq(1e-8)):
        same_gradient(f, p, made, T)


def test_tapes_of_other_points_and_other_measurements_may_be_used_in_any_order():
    p = small_problem(train=3)
    batches = [p.train.select(torch.tensor([i])) for i in range(3)]
    bound = [p.bind(batch) for batch in batches]
    first = capture(bound[0], p.start(batches[0]), Static)
    maps = [replace(first, bound=T) for T in bound]
    starts = [draw(seed, p.start(batches[0])).requires_grad_() for seed in range(6)]
    open_tapes = [(maps[i % 3](at), bound[i % 3](at), at) for i, at in enumerate(starts)]
    for k in (1, 0, 4, 1, 3, 0, 0, 5, 2, 5):
        replayed, eager, at = open_tapes[k]
        torch.testing.assert_close(replayed, eager, rtol=0, atol=1e-14)
        one, two = (
            torch.autograd.grad(out, at, draw(3, at), retain_graph=True)[0] for out in (replayed, eager)
        )
        torch.testing.assert_close(one, two, rtol=0, atol=1e-14)
        with torch.no_grad():  # an application with other measurements, between two uses of a tape
            other = (k + 1) % 3
            torch.testing.assert_close(maps[other](at), bound[other](at), rtol=0, atol=1e-14)


def test_parameters_require_no_gradient_in_a_capture_and_do_again_after_it():
    p = small_problem("denoising(dncnn)", 2)  # weights that are frozen, beside parameters that learn
    T, x = p.bind(p.train), p.start(p.train)
    before = [q.requires_grad for q in p.operator.parameters()]
    assert len(set(before)) == 2
    assert capture(T, x, Static).memory.replay.learned == []
    assert [q.requires_grad for q in p.operator.parameters()] == before

    def broken(T, like):
        raise RuntimeError("no graph")

    with pytest.raises(RuntimeError, match="no graph"):
        capture(T, x, broken)
    assert [q.requires_grad for q in p.operator.parameters()] == before


def test_training_captures_once(static):
    p = small_problem(train=3, execution="graphed")
    assert_trains_alike(p)
    assert p.prepared(p.train.select(torch.tensor([1]))).mode == "graphed"
    assert Static.made == 1
    p.bind(p.train)
    assert Static.made == 2, "another shape is another capture"
    p.operator.prior.log_weights.data = p.operator.prior.log_weights.data.clone()
    steps(p, neumann(2, 2), 2)
    assert Static.made == 3, "parameters that have moved are captured anew, once"


def test_a_timing_captures_before_its_first_step(static, monkeypatch):
    (job, *_), seen = default_jobs(), []
    profile = job.profile.model_copy(
        update={
            "execution": "graphed",
            "images": job.profile.images.model_copy(update={"crop": 32}),
            "timing": job.profile.timing.model_copy(update={"rounds": 3}),
        }
    )

    def step(*given):
        seen.append(Static.made)
        return training_step(*given)

    monkeypatch.setattr(timing, "training_step", step)
    found = timing.timed(pedantic_benchmark(), replace(job, profile=profile))
    assert (found["step"], found["step_why"]) == ("graphed", "")
    assert found["step_seconds"] > 0
    assert seen == [1] * (1 + timing.WARM_UP + 3)
    assert Static.made == 1


@pytest.mark.parametrize(
    "text",
    [
        "inpainting(l1)",
        "denoising(dncnn)",
        "deblurring(huber) by peaceman_rachford",
        "deblurring(dncnn) by douglas_rachford",
    ],
)
def test_graphs_of_other_tasks_take_other_measurements(text, static):
    p = small_problem(text, 3, execution="graphed")
    for i in range(3):
        batch = p.train.select(torch.tensor([i]))
        assert_same(p.bind(batch), p.operator.bind(batch.y, p.physics), p.start(batch), parameters(p))
    assert Static.made == 1


def test_what_is_watched_is_not_replayed():
    """A certificate shakes every operation, and a replay would hide them."""
    p = small_problem(train=2)
    T, x = p.bind(p.train), p.start(p.train)
    made = capture(T, x, Static)
    at, v = x.clone().requires_grad_(), draw(1, x)
    out = made(at)
    with peak_bytes(torch.device("cpu")):
        with torch.no_grad():
            torch.testing.assert_close(made(x), T(x), rtol=0, atol=0)
        (pulled,) = torch.autograd.grad(out, at, v)
    replay = made.memory.replay
    assert (replay.values, replay.tapes, replay.vjps) == (0, 1, 0)
    torch.testing.assert_close(pulled, torch.autograd.grad(T(at), at, v)[0], rtol=0, atol=1e-14)


def test_graphs_that_are_wrong_are_not_used(monkeypatch):
    class Wrong(Static):
        def vjp(self, v):
            return super().vjp(v) + 1e-6

    monkeypatch.setattr(bench.operators.compiled, "Capture", Wrong)
    p = small_problem(train=2)
    found = prepare_map(p.bind(p.train), p.start(p.train), "graphed")
    assert found.mode == "eager"
    assert "differ from the eager ones by" in found.reason


def test_replaced_parameters_are_not_missed():
    p = small_problem(train=2)
    T, x = p.bind(p.train), p.start(p.train)
    frozen = T(x).detach()

    class Frozen(Static):
        def value(self, x):
            return frozen

    made = capture(T, x, Frozen)
    with torch.no_grad():
        assert torch.equal(made(x), frozen)
        p.operator.prior.log_weights.data = p.operator.prior.log_weights.data + 1.0
        assert torch.equal(made(x), T(x))
        assert not torch.equal(made(x), frozen)


@gpu
@pytest.mark.parametrize(
    "text",
    [
        "deblurring(huber)",
        "inpainting(orientations)",
        "denoising(dncnn)",
        "deblurring(huber) by peaceman_rachford",
    ],
)
def test_graphs_on_a_gpu_are_the_map(text):
    p = small_problem(text, 2, device="cuda", dtype=torch.float32)
    T, x = p.bind(p.train), p.start(p.train)
    wrapped = prepare_map(T, x, "graphed")
    assert (wrapped.mode, wrapped.reason) == ("graphed", "")
    assert isinstance(wrapped.T.memory.replay, Capture)
    for _ in range(2):
        assert_same(wrapped.T, T, x, parameters(p), atol=1e-5)
        with torch.no_grad():
            for parameter in parameters(p):
                parameter += 0.3
    kept = wrapped.T(x.clone().requires_grad_())
    value = kept.detach().clone()
    with torch.no_grad():
        wrapped.T(x + 1)
    assert torch.equal(kept, value), "a result was overwritten by the next"
