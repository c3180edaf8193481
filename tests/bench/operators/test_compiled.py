"""A map made ready: the same values and derivatives as the eager one, and an honest word where it stays eager."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import torch

import bench.operators.compiled
from bench.config.matrix import parse_solver, parse_task
from bench.measurement.memory import peak_bytes, saved_bytes
from bench.measurement.training import parameters, training_step
from bench.operators import BoundOperator
from bench.operators.compiled import channels_last, prepare
from bench.operators.cuda_graphs import Capture, capture
from bench.penalties import CoupledPenalty
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from bench.timing import test_step as timing
from bench.timing.conftest import default_jobs
from solvers import deq, neumann, unrolled
from tests.bench.conftest import pedantic_benchmark

F64 = torch.float64
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def problem(text="deblurring(huber)", dtype=F64, device="cpu", size=32, execution="eager", train=2):
    task = parse_task(text)
    images = find_images(colour=task.channels == 3)
    return build_problem(
        task, images, Layout(size, train, 1), 0, dtype=dtype, device=device, execution=execution
    )


def draw(seed, like):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=rng, dtype=F64).to(like)


@pytest.fixture
def clean(monkeypatch):
    """A process that has compiled nothing."""
    monkeypatch.setattr(bench.operators.compiled, "_FAILED", {})
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.fixture
def traced(clean, monkeypatch):
    """Everything but the code generator, which takes its seconds."""
    monkeypatch.setattr(bench.operators.compiled, "BACKEND", "aot_eager")


@pytest.fixture
def read(clean, monkeypatch):
    """The bytecode alone is read, which decides what is compiled again."""
    monkeypatch.setattr(bench.operators.compiled, "BACKEND", "eager")


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
    wrapped = prepare(T, x, "compiled")
    assert (wrapped.mode, wrapped.reason) == ("compiled", "")
    assert wrapped.seconds > 0
    assert_same(wrapped.T, T, x, parameters(p))
    with torch.no_grad():
        for parameter in parameters(p):  # what an optimiser does
            parameter += 0.5
        torch.testing.assert_close(wrapped.T(x), T(x), rtol=0, atol=1e-13)
        index = torch.tensor([1])
        torch.testing.assert_close(wrapped.T.select(index)(x[1:]), T.select(index)(x[1:]), rtol=0, atol=0)


def test_it_is_compiled_once_a_shape(traced):
    """Other measurements, other parameters and another operator of the same kind run the same code."""
    from torch._dynamo.utils import counters

    counters.clear()
    for seed in range(3):
        p = problem()
        with torch.no_grad():
            p.operator.prior.log_weights += 0.1 * seed
        for batch in (p.train, p.train.select(torch.tensor([1, 0]))):
            T = prepare(p.bind(batch), p.start(batch), "compiled").T
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


@pytest.mark.slow
def test_generated_code_rounds_as_the_map_does():
    """The real compiler, on the smallest step."""
    torch.compiler.reset()
    p = problem("denoising(l1)", torch.float32)
    T, x = p.bind(p.train), p.start(p.train)
    wrapped = prepare(T, x, "compiled")
    if wrapped.mode == "eager":
        assert "torch.compile failed" in wrapped.reason  # no C++ compiler here
        pytest.skip(wrapped.reason)
    assert_same(wrapped.T, T, x, parameters(p), atol=1e-6)


def test_what_stays_eager_says_why():
    p = problem()
    T, x = p.bind(p.train), p.start(p.train)
    assert prepare(T, x, "eager") == bench.operators.compiled.PreparedMap(T, "eager")
    found = prepare(torch.cos, x, "compiled")
    assert (found.T, found.mode) == (torch.cos, "eager")
    assert "no operator of this benchmark" in found.reason
    layered = problem("denoising(dncnn(layers=3))")
    assert "its applications differ" in prepare(layered.bind(layered.train), x, "compiled").reason
    coupled = problem("inpainting_colour(colours(coupled=True))")
    assert isinstance(coupled.operator.prior, CoupledPenalty)
    state = coupled.start(coupled.train)
    assert "through the CPU" in prepare(coupled.bind(coupled.train), state, "compiled").reason
    assert prepare(T, x, "graphed").reason == "CUDA graphs need a GPU"


def test_why_compiling_failed_is_told_whole_and_tried_once_a_kind(clean, monkeypatch):
    tried = []

    def broken(graph, inputs):
        tried.append(len(inputs))
        raise RuntimeError("\nno compiler\nfor this machine")

    monkeypatch.setattr(bench.operators.compiled, "BACKEND", broken)
    for _ in range(2):  # another instance, of the same kind and shape
        p = problem(execution="compiled", train=3)
        for index in ([0], [1], [2]):
            found = p.prepared(p.train.select(torch.tensor(index)))
            assert found.mode == "eager"
            assert found.reason.startswith("torch.compile failed: ")
            assert "no compiler for this machine" in found.reason
            assert "\n" not in found.reason
            training_step(neumann(2, 2), p, p.train.select(torch.tensor(index)))
    assert len(tried) == 1
    p.prepared(p.train)
    assert len(tried) == 2, "another shape is another compilation"


def test_compiled_code_that_is_wrong_is_not_used(clean, monkeypatch):
    monkeypatch.setattr(
        bench.operators.compiled, "BACKEND", lambda graph, inputs: lambda *a: [o + 1e-6 for o in graph(*a)]
    )
    p = problem()
    assert "differ from the eager ones by" in prepare(p.bind(p.train), p.start(p.train), "compiled").reason


def test_warnings_of_the_compiler_are_no_failures(clean, monkeypatch):
    """pytest turns warnings into errors, in timings too."""

    def talkative(graph, inputs):
        warnings.warn("scripting is deprecated", DeprecationWarning, stacklevel=2)
        return graph

    monkeypatch.setattr(bench.operators.compiled, "BACKEND", talkative)
    p = problem()
    found = prepare(p.bind(p.train), p.start(p.train), "compiled")
    assert (found.mode, found.reason) == ("compiled", "")


SOLVERS = ("unrolled(3)", "jfb(4)", "neumann(5, 5)", "implicit(nesterov(1e-3), cg(1e-3))", "deq(1e-3)")


def steps(p, solver, samples=3):
    """Gradients and losses of a training over one crop after another, its parameters changed in place."""
    found = []
    for i in range(samples):
        batch = p.train.select(torch.tensor([i]))
        _, loss = training_step(solver, p, batch)
        found.append((loss, [q.grad.clone() for q in parameters(p)]))
        with torch.no_grad():
            for q in parameters(p):
                q -= 0.2 * q.grad.sign()
    return found


def assert_trains_alike(p):
    """By each solver, the gradients of ``p`` are those of an eager instance, at one batch after another."""
    eager = problem(train=3)
    for text in SOLVERS:
        found, wanted = (steps(each, parse_solver(text)) for each in (p, eager))
        for one, two in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-14)
        assert len({float(loss) for loss, _ in found}) == 3, "the same measurements at every step"


def test_no_training_step_compiles(read):
    p = problem(execution="compiled", train=3)
    made = p.prepared(p.train.select(torch.tensor([0])))
    assert made.mode == "compiled"
    with torch.compiler.set_stance("fail_on_recompile"):
        assert_trains_alike(p)
    assert p.prepared(p.train.select(torch.tensor([1]))).seconds == made.seconds


def test_states_in_another_layout_run_the_same_code(read):
    p = problem("denoising_colour(huber)")
    T, x = p.bind(p.train), p.start(p.train)
    made = prepare(T, x, "compiled").T
    with torch.no_grad(), torch.compiler.set_stance("fail_on_recompile"):
        for state in (x.to(memory_format=torch.channels_last), x.clone().requires_grad_(), x.mT):
            torch.testing.assert_close(made(state), T(state), rtol=0, atol=1e-13)


def test_memory_of_a_compiled_step_is_that_of_the_eager_one(read):
    found = []
    for execution in ("compiled", "eager"):
        p = problem(execution=execution)
        p.bind(p.train)
        with saved_bytes(p.operator.parameters()) as tape:
            training_step(neumann(2, 2), p, p.train, tape=tape)
        with peak_bytes(torch.device("cpu")) as peak:
            training_step(neumann(2, 2), p, p.train)
        found.append((tape.count, peak.count))
    assert found[0] == found[1]
    assert min(found[0]) > 0


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
    p = problem()
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
    p = problem()
    T, x = p.bind(p.train), p.start(p.train)
    made = capture(T, x, Static)
    for f in (unrolled(3), unrolled(1), neumann(3, 4), deq(1e-8)):
        same_gradient(f, p, made, T)


def test_tapes_of_other_points_and_other_measurements_may_be_used_in_any_order():
    p = problem(train=3)
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
    p = problem("denoising(dncnn)")  # weights that are frozen, beside parameters that learn
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
    p = problem(execution="graphed", train=3)
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
            "step": "graphed",
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


@pytest.mark.parametrize("text", ["inpainting(l1)", "denoising(dncnn)"])
def test_graphs_of_other_tasks_take_other_measurements(text, static):
    p = problem(text, execution="graphed", train=3)
    for i in range(3):
        batch = p.train.select(torch.tensor([i]))
        assert_same(p.bind(batch), p.operator.bind(batch.y, p.physics), p.start(batch), parameters(p))
    assert Static.made == 1


def test_what_is_watched_is_not_replayed():
    """A certificate shakes every operation, and a replay would hide them."""
    p = problem()
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
    p = problem()
    found = prepare(p.bind(p.train), p.start(p.train), "graphed")
    assert found.mode == "eager"
    assert "differ from the eager ones by" in found.reason


def test_replaced_parameters_are_not_missed():
    p = problem()
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
@pytest.mark.parametrize("text", ["deblurring(huber)", "inpainting(orientations)", "denoising(dncnn)"])
def test_graphs_on_a_gpu_are_the_map(text):
    p = problem(text, torch.float32, "cuda")
    T, x = p.bind(p.train), p.start(p.train)
    wrapped = prepare(T, x, "graphed")
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


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=gpu)])
def test_channels_last_keeps_the_values(device):
    p, task = problem("denoising(dncnn)", torch.float32, device), parse_task("denoising(dncnn)")
    plain = task.prior.operator((1, 32, 32), task.step, torch.float32, device)
    operator = channels_last(task.prior.operator((1, 32, 32), task.step, torch.float32, device))
    weights = [
        (a, b) for a, b in zip(plain.parameters(), operator.parameters(), strict=True) if b.shape[1:2] > (1,)
    ]
    assert weights
    for a, b in weights:
        assert (a.stride(), b.stride()) == (torch.empty(a.shape).stride(), channels_last_stride(b))
        assert torch.equal(a, b)
    with torch.no_grad():
        one, two = (o.bind(p.train.y, p.physics)(p.train.x0) for o in (plain, operator))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-5)


def channels_last_stride(w):
    return torch.empty(w.shape).to(memory_format=torch.channels_last).stride()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=gpu)])
def test_a_network_is_laid_out_for_its_device(device):
    plain = [w.stride() for w in problem("denoising(dncnn)").operator.parameters()]
    found = [w.stride() for w in problem("denoising(dncnn)", device=device).operator.parameters()]
    assert (found == plain) == (device == "cpu")
