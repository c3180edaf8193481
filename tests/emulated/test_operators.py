"""Every operator on the emulated device: nothing mixed, nothing left behind, no waits, the values of the CPU."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from deepinv.physics import Tomography
from torch import Tensor, nn

from bench.config.lookup import TASK_ARGUMENTS
from bench.config.matrix import parse_task
from bench.measurement.jacobian_norm import jacobian_norm
from bench.measurement.measure import SampleBySampleMap
from bench.measurement.training import parameters
from bench.operators import SPLITTINGS, GradientStep, ProximalOperator
from bench.penalties.synthesis import CoupledPenalty
from bench.tasks import ROSTER, Problem
from solvers import HasDerivativeBounds, SupportsSelect
from tests.emulated.cases import REPEATED, TASKS, problem, task_of
from tests.emulated.counts import counted
from tests.emulated.device import CudaTensor

CLOSE = 1e-12


def held(x: Tensor) -> Tensor:
    assert isinstance(x, CudaTensor), "a result was left on the CPU"
    return x.detach().held


def same(found: Tensor, expected: Tensor) -> None:
    expected = expected.detach()
    scale = float(expected.abs().max()) or 1.0
    torch.testing.assert_close(held(found), expected, rtol=0, atol=CLOSE * scale)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(
    scope="module",
    params=[pytest.param(t, marks=pytest.mark.slow) if t in REPEATED else t for t in TASKS],
)
def pair(request, folder, cuda) -> tuple[Problem, Problem]:
    """An instance on the CPU and one on the device."""
    if "scico" in request.param and find_spec("scico") is None:
        pytest.skip("needs the weights of scico")
    task = task_of(request.param, folder)
    return problem(task, "cpu"), problem(task, cuda)


def test_the_rosters_are_covered():
    quick = [text for text in TASKS if text not in REPEATED]
    assert all(name in " ".join(quick) for name in TASK_ARGUMENTS)
    assert {text.partition("(")[0] for text in quick} == set(ROSTER)
    # ADMM is Douglas–Rachford.
    others = {text.partition(" by ")[2].partition("(")[0] for text in quick}
    assert others - {""} == set(SPLITTINGS) - {"forward_backward", "admm"}


def test_everything_is_on_the_device(pair):
    there = pair[1]
    batch, modules = there.train, (there.operator, there.physics)
    tensors = [t for module in modules for t in (*module.parameters(), *module.buffers())]
    for tensor in (batch.truth, batch.y, batch.x0, there.start(batch), *tensors):
        assert tensor.is_cuda
    assert all(isinstance(p, nn.Parameter) for p in there.operator.parameters())


def products(of: Problem) -> tuple[list[Tensor], list[Tensor]]:
    """T without a tape, T with one, and the products with Jᵀ; and the products in x and θ."""
    T, x = of.bind(of.train), of.start(of.train)
    with torch.no_grad():
        untaped = T(x)
    T = of.bind(of.train)  # where layers differ, the first again
    at = x.clone().requires_grad_()
    y = T(at)
    u = torch.cos(7 * y.detach())
    (one,) = torch.autograd.grad(y, at, u, retain_graph=True)
    both = torch.autograd.grad(y, [at, *parameters(of)], u, allow_unused=True)
    return [untaped, y, one], [g for g in both if g is not None]


def test_applications_and_products_are_those_of_the_cpu(pair):
    (values, gradients), (here_values, here_gradients) = products(pair[1]), products(pair[0])
    assert len(gradients) == len(here_gradients)
    for found, expected in zip((*values, *gradients), (*here_values, *here_gradients), strict=True):
        same(found, expected)


def scalars(of: Problem, index: Tensor) -> dict[str, object]:
    """What is asked of an operator beside T: samples picked and apart, norms, constants, the loss."""
    T, x = of.limit(of.train), of.start(of.train)
    state = T(x)
    found: dict[str, object] = {"image": of.image_of(of.train)(state), "loss": of.loss(state, of.train)}
    assert isinstance(T, SupportsSelect)
    found |= {
        "norm": jacobian_norm(T, x, 2).value,
        "picked": T.select(index)(x[index]),
        "apart": SampleBySampleMap(T)(x),
    }
    if isinstance(of.operator, ProximalOperator):  # that of a network takes seconds: see below
        found["contraction"] = of.contraction
    regularity = T.regularity() if isinstance(T, HasDerivativeBounds) else None
    if regularity is not None:
        change = regularity.change(x, torch.cos(x), 0.1)
        found |= {"L": regularity.L, "J": change.J, "B": change.B, "rounding": regularity.rounding(x)}
    return found


def test_what_else_is_asked_of_it_is_that_of_the_cpu(pair, cuda):
    index = torch.tensor([1])
    found, expected = scalars(pair[1], index.to(cuda)), scalars(pair[0], index)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        if isinstance(value, Tensor):
            same(value, expected[name])
        else:
            assert value == pytest.approx(expected[name], rel=1e-10, nan_ok=True), name


@pytest.mark.slow
@pytest.mark.parametrize("text", ["denoising(dncnn)", "deblurring(drunet)"])
def test_the_constant_of_a_network_is_that_of_the_cpu(text, cuda):
    here, there = (problem(parse_task(text), device).contraction for device in ("cpu", cuda))
    assert there == pytest.approx(here, rel=1e-10, nan_ok=True)


def test_an_application_and_a_product_never_wait(pair):
    """A matrix of coupled weights, or what bounds a regulariser, is looked at once for each value of it."""
    there = pair[1]
    T, x = there.bind(there.train), there.start(there.train)
    looks = isinstance(getattr(there.operator, "prior", None), CoupledPenalty)
    looks = 8 if isinstance(there.operator, GradientStep) else looks
    at = x.clone().requires_grad_()
    with torch.no_grad():
        for parameter in there.operator.parameters():
            parameter.mul_(1)  # another version
    with counted() as first:
        y = T(at)
    assert sum(first.waits.values()) <= looks, first
    with counted() as again:
        y = T(at)
        torch.autograd.grad(y, at, torch.ones_like(y), retain_graph=True)
        wanted = [at, *parameters(there)]
        torch.autograd.grad(y, wanted, torch.ones_like(y), allow_unused=True)
    assert not again.waits, again
    assert not first.uploads, first
    assert not again.uploads, again
    # deepinv's exact adjoint of a projection sums with atomic additions on a GPU.
    sums = {"grid_sampler_2d_backward"} if isinstance(there.physics, Tomography) else set()
    assert {name.partition(" ")[0] for name in again.undetermined} == sums, again
