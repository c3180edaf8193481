"""A map made ready: the same values and derivatives as the eager one, and an honest word where it stays eager."""

from __future__ import annotations

import pytest
import torch

import bench.step
from bench.graphs import Capture, Graphed
from bench.images import Layout, find_images
from bench.matrix import parse_task
from bench.operators import CoupledPenalty
from bench.step import channels_last, wrap
from bench.tasks import instance
from bench.training import parameters
from solvers import deq, neumann, unrolled

F64 = torch.float64
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def problem(text="deblurring(huber)", dtype=F64, device="cpu", size=32):
    task = parse_task(text)
    images = find_images(colour=task.channels == 3)
    return instance(task, images, Layout(size, 2, 1), 0, dtype=dtype, device=device)


def draw(seed, like):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=rng, dtype=F64).to(like)


@pytest.fixture
def traced(monkeypatch):
    """Everything but the code generator, which takes its seconds."""
    monkeypatch.setattr(bench.step, "BACKEND", "aot_eager")
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def assert_same(made, T, x, learned, atol=1e-13):
    """Values, products with the Jacobian through one tape, and gradients in the parameters."""
    with torch.no_grad():
        torch.testing.assert_close(made(x), T(x), rtol=0, atol=atol)
    tapes = []
    for f in (made, T):
        at = x.clone().requires_grad_()
        tapes.append((at, f(at)))
    torch.testing.assert_close(tapes[0][1], tapes[1][1], rtol=0, atol=atol)
    for seed in (1, 2):  # more than once through one tape
        one, two = (
            torch.autograd.grad(out, [at, *learned], draw(seed, out), retain_graph=True) for at, out in tapes
        )
        alone, _ = (torch.autograd.grad(out, at, draw(seed, out), retain_graph=True)[0] for at, out in tapes)
        torch.testing.assert_close(alone, two[0], rtol=0, atol=atol)
        for a, b in zip(one, two, strict=True):
            torch.testing.assert_close(a, b, rtol=1e3 * atol, atol=1e3 * atol)


@pytest.mark.parametrize(
    "text", ["deblurring(huber)", "inpainting(l1)", "inpainting(orientations)", "denoising(dncnn)"]
)
def test_a_compiled_map_is_the_map(text, traced):
    p = problem(text)
    T, x = p.bind(p.train), p.start(p.train)
    wrapped = wrap(T, x, "compiled")
    assert (wrapped.how, wrapped.why) == ("compiled", "")
    assert wrapped.seconds > 0
    assert_same(wrapped.T, T, x, parameters(p))
    with torch.no_grad():
        for parameter in parameters(p):  # what an optimiser does
            parameter += 0.5
        torch.testing.assert_close(wrapped.T(x), T(x), rtol=0, atol=1e-13)
        index = torch.tensor([1])
        torch.testing.assert_close(wrapped.T.pick(index)(x[1:]), T.pick(index)(x[1:]), rtol=0, atol=0)


def test_it_is_compiled_once_a_shape(traced):
    """Other measurements, other parameters and another operator of the same kind run the same code."""
    from torch._dynamo.utils import counters

    counters.clear()
    for seed in range(3):
        p = problem()
        with torch.no_grad():
            p.operator.prior.log_weights += 0.1 * seed
        for batch in (p.train, p.train.pick(torch.tensor([1, 0]))):
            T = wrap(p.bind(batch), p.start(batch), "compiled").T
            with torch.no_grad():
                torch.testing.assert_close(
                    T(p.start(batch)), p.bind(batch)(p.start(batch)), rtol=0, atol=1e-13
                )
    assert counters["stats"]["unique_graphs"] == 1


def same_gradient(solver, p, *maps):
    """Through either map a solver gives the same gradient, up to rounding."""
    found = []
    for T in maps:
        p.operator.zero_grad()
        p.loss(solver(T, p.start(p.train)).x, p.train).backward()
        found.append(p.operator.prior.log_weights.grad)
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-15)


def test_a_solver_takes_a_compiled_map(traced):
    p = problem()
    T, x = p.bind(p.train), p.start(p.train)
    made = wrap(T, x, "compiled").T
    for solver in (unrolled(3), neumann(5, 5), deq(1e-8)):
        same_gradient(solver, p, made, T)


@pytest.mark.slow
def test_generated_code_rounds_as_the_map_does():
    """The real compiler, on the smallest step."""
    torch.compiler.reset()
    p = problem("denoising(l1)", torch.float32)
    T, x = p.bind(p.train), p.start(p.train)
    wrapped = wrap(T, x, "compiled")
    if wrapped.how == "eager":
        assert "torch.compile failed" in wrapped.why  # no C++ compiler here
        pytest.skip(wrapped.why)
    assert_same(wrapped.T, T, x, parameters(p), atol=1e-6)


def test_what_stays_eager_says_why(monkeypatch):
    p = problem()
    T, x = p.bind(p.train), p.start(p.train)
    assert wrap(T, x, "eager") == bench.step.Wrapped(T, "eager")
    found = wrap(torch.cos, x, "compiled")
    assert (found.T, found.how) == (torch.cos, "eager")
    assert "no operator of this benchmark" in found.why
    layered = problem("denoising(dncnn(layers=3))")
    assert "its applications differ" in wrap(layered.bind(layered.train), x, "compiled").why
    coupled = problem("inpainting_colour(colours(coupled=True))")
    assert isinstance(coupled.operator.prior, CoupledPenalty)
    state = coupled.start(coupled.train)
    assert "through the CPU" in wrap(coupled.bind(coupled.train), state, "compiled").why
    assert wrap(T, x, "graphed").why == "CUDA graphs need a GPU"

    def broken(graph, inputs):
        raise RuntimeError("\nno compiler\nmore")

    monkeypatch.setattr(bench.step, "BACKEND", broken)
    torch.compiler.reset()
    found = wrap(T, x, "compiled")
    assert found.T is T
    assert found.how == "eager"
    assert found.why.startswith("torch.compile failed: ")
    assert "\n" not in found.why
    monkeypatch.setattr(bench.step, "BACKEND", lambda graph, inputs: lambda *a: [o + 1e-6 for o in graph(*a)])
    torch.compiler.reset()
    assert "differs from the eager one by" in wrap(T, x, "compiled").why
    torch.compiler.reset()


class Static:
    """``Capture`` without a GPU: one tape, on memory that the next one takes."""

    def __init__(self, T, like):
        self.T, self.start = T, torch.zeros_like(like).requires_grad_()
        self.runs = self.pulls = 0

    def value(self, x):
        return self.T(x)

    def run(self, x):
        self.runs += 1
        with torch.no_grad():
            self.start.copy_(x)
        with torch.enable_grad():
            self.taped = self.T(self.start)
        return self.taped.detach().clone()

    def pull(self, v):
        self.pulls += 1
        return torch.autograd.grad(self.taped, self.start, v, retain_graph=True)[0]


def test_replays_are_the_map_and_parameters_cost_nothing_until_asked_for():
    p = problem()
    T, x = p.bind(p.train), p.start(p.train)
    calls = 0

    class Counting:
        operator = T.operator
        pick = T.pick

        def __call__(self, x):
            nonlocal calls
            calls += 1
            return T(x)

    replay = Static(T, x)
    made = Graphed(Counting(), replay, x.shape)
    assert_same(made, T, x, parameters(p))
    assert calls == 2  # once each time that parameters were asked for
    assert (replay.runs, replay.pulls) == (1, 4)
    made.pick(torch.tensor([0]))(x[:1])


def test_two_open_tapes_do_not_mix():
    p = problem()
    T, x = p.bind(p.train), p.start(p.train)
    made = Graphed(T, Static(T, x), x.shape)
    for f in (unrolled(3), unrolled(1), neumann(3, 4), deq(1e-8)):
        same_gradient(f, p, made, T)


def test_an_older_tape_may_be_used_between_two_uses_of_a_newer_one():
    p = problem()
    T, x = p.bind(p.train), p.start(p.train)
    made = Graphed(T, Static(T, x), x.shape)
    starts = [draw(seed, x).requires_grad_() for seed in (1, 2)]
    open_tapes = [(made(at), T(at), at) for at in starts]
    for k in (1, 0, 1, 0, 0, 1):
        replayed, eager, at = open_tapes[k]
        one, two = (
            torch.autograd.grad(out, at, draw(3, x), retain_graph=True)[0] for out in (replayed, eager)
        )
        torch.testing.assert_close(one, two, rtol=0, atol=1e-14)


def test_replaced_parameters_are_not_missed():
    p = problem()
    T, x = p.bind(p.train), p.start(p.train)
    frozen = T(x).detach()
    made = Graphed(T, Static(lambda x: frozen, x), x.shape)
    with torch.no_grad():
        assert torch.equal(made(x), frozen)
        p.operator.prior.log_weights.data = p.operator.prior.log_weights.data + 1.0
        assert torch.equal(made(x), T(x))
        assert not torch.equal(made(x), frozen)


@gpu
@pytest.mark.parametrize("text", ["deblurring(huber)", "inpainting(orientations)", "denoising(dncnn)"])
def test_graphs_on_a_gpu_are_the_map(text):
    p = problem(text, torch.float32, "cuda")
    T, x = p.bind(p.train), p.start(p.train)
    wrapped = wrap(T, x, "graphed")
    assert (wrapped.how, wrapped.why) == ("graphed", "")
    assert isinstance(wrapped.T.replay, Capture)
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


@gpu
def test_channels_last_keeps_the_values():
    p = problem("denoising(dncnn)", torch.float32, "cuda")
    T, x = p.bind(p.train), p.start(p.train)
    with torch.no_grad():
        before = T(x)
        channels_last(p.operator)
        torch.testing.assert_close(T(x), before, rtol=0, atol=1e-5)


def test_channels_last_leaves_a_cpu_alone():
    p = problem("denoising(dncnn)")
    before = [w.stride() for w in p.operator.parameters()]
    assert channels_last(p.operator) is p.operator
    assert [w.stride() for w in p.operator.parameters()] == before
