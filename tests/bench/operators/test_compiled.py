"""A compiled map: values and derivatives of the eager one, and the reason where it stays eager."""

from __future__ import annotations

import warnings

import pytest
import torch

import bench.operators.compiled
from bench.config.matrix import parse_task
from bench.measurement.memory import peak_bytes, saved_bytes
from bench.measurement.training import parameters, training_step
from bench.operators.compiled import channels_last, prepare_map
from bench.penalties import CoupledPenalty
from solvers import neumann
from tests.helpers.compiled import assert_same, assert_trains_alike, gpu
from tests.helpers.problems import small_problem


@pytest.mark.parametrize(
    "text",
    [
        "deblurring(huber)",
        "inpainting(l1)",
        "inpainting(orientations)",
        "denoising(dncnn)",
        "deblurring(huber) by peaceman_rachford",
        "inpainting(union(0.01, 0.02)) by douglas_rachford",
        "inpainting(huber) by half_quadratic",
        "deblurring(dncnn) by douglas_rachford",
    ],
)
def test_a_compiled_map_is_the_map(text, traced):
    p = small_problem(text, 2)
    T, x = p.bind(p.train), p.start(p.train)
    wrapped = prepare_map(T, x, "compiled")
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
        p = small_problem(train=2)
        with torch.no_grad():
            p.operator.prior.log_weights += 0.1 * seed
        for batch in (p.train, p.train.select(torch.tensor([1, 0]))):
            T = prepare_map(p.bind(batch), p.start(batch), "compiled").T
            with torch.no_grad():
                torch.testing.assert_close(
                    T(p.start(batch)), p.bind(batch)(p.start(batch)), rtol=0, atol=1e-13
                )
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.slow
def test_generated_code_rounds_as_the_map_does():
    """The real compiler, on the smallest step."""
    torch.compiler.reset()
    p = small_problem("denoising(l1)", 2, dtype=torch.float32)
    T, x = p.bind(p.train), p.start(p.train)
    wrapped = prepare_map(T, x, "compiled")
    if wrapped.mode == "eager":
        assert "torch.compile failed" in wrapped.reason  # no C++ compiler here
        pytest.skip(wrapped.reason)
    assert_same(wrapped.T, T, x, parameters(p), atol=1e-6)


def test_what_stays_eager_says_why():
    p = small_problem(train=2)
    T, x = p.bind(p.train), p.start(p.train)
    assert prepare_map(T, x, "eager") == bench.operators.compiled.PreparedMap(T, "eager")
    found = prepare_map(torch.cos, x, "compiled")
    assert (found.T, found.mode) == (torch.cos, "eager")
    assert "no operator of this benchmark" in found.reason
    layered = small_problem("denoising(dncnn(layers=3))", 2)
    assert "its applications differ" in prepare_map(layered.bind(layered.train), x, "compiled").reason
    coupled = small_problem("inpainting_colour(colours(coupled=True))", 2)
    assert isinstance(coupled.operator.prior, CoupledPenalty)
    state = coupled.start(coupled.train)
    assert "through the CPU" in prepare_map(coupled.bind(coupled.train), state, "compiled").reason
    assert prepare_map(T, x, "graphed").reason == "CUDA graphs need a GPU"


def test_why_compiling_failed_is_told_whole_and_tried_once_a_kind(clean, monkeypatch):
    tried = []

    def broken(graph, inputs):
        tried.append(len(inputs))
        raise RuntimeError("\nno compiler\nfor this machine")

    monkeypatch.setattr(bench.operators.compiled, "BACKEND", broken)
    for _ in range(2):  # another instance, of the same kind and shape
        p = small_problem(train=3, execution="compiled")
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
    p = small_problem(train=2)
    assert (
        "differ from the eager ones by" in prepare_map(p.bind(p.train), p.start(p.train), "compiled").reason
    )


def test_warnings_of_the_compiler_are_no_failures(clean, monkeypatch):
    """pytest turns warnings into errors, in timings too."""

    def talkative(graph, inputs):
        warnings.warn("scripting is deprecated", DeprecationWarning, stacklevel=2)
        return graph

    monkeypatch.setattr(bench.operators.compiled, "BACKEND", talkative)
    p = small_problem(train=2)
    found = prepare_map(p.bind(p.train), p.start(p.train), "compiled")
    assert (found.mode, found.reason) == ("compiled", "")


def test_no_training_step_compiles(read):
    p = small_problem(train=3, execution="compiled")
    made = p.prepared(p.train.select(torch.tensor([0])))
    assert made.mode == "compiled"
    with torch.compiler.set_stance("fail_on_recompile"):
        assert_trains_alike(p)
    assert p.prepared(p.train.select(torch.tensor([1]))).seconds == made.seconds


def test_states_in_another_layout_run_the_same_code(read):
    p = small_problem("denoising_colour(huber)", 2)
    T, x = p.bind(p.train), p.start(p.train)
    made = prepare_map(T, x, "compiled").T
    with torch.no_grad(), torch.compiler.set_stance("fail_on_recompile"):
        for state in (x.to(memory_format=torch.channels_last), x.clone().requires_grad_(), x.mT):
            torch.testing.assert_close(made(state), T(state), rtol=0, atol=1e-13)


def test_memory_of_a_compiled_step_is_that_of_the_eager_one(read):
    found = []
    for execution in ("compiled", "eager"):
        p = small_problem(train=2, execution=execution)
        p.bind(p.train)
        with saved_bytes(p.operator.parameters()) as tape:
            training_step(neumann(2, 2), p, p.train, tape=tape)
        with peak_bytes(torch.device("cpu")) as peak:
            training_step(neumann(2, 2), p, p.train)
        found.append((tape.count, peak.count))
    assert found[0] == found[1]
    assert min(found[0]) > 0


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=gpu)])
def test_channels_last_keeps_the_values(device):
    p, task = (
        small_problem("denoising(dncnn)", 2, device=device, dtype=torch.float32),
        parse_task("denoising(dncnn)"),
    )
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
    plain = [w.stride() for w in small_problem("denoising(dncnn)", 2).operator.parameters()]
    found = [w.stride() for w in small_problem("denoising(dncnn)", 2, device=device).operator.parameters()]
    assert (found == plain) == (device == "cpu")
