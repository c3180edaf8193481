"""The emulated device itself: what it refuses, what it counts, and that nothing of it stays."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn

from bench.utils.determinism import deterministic
from bench.utils.device import pick_device
from tests.emulated.counts import counted
from tests.emulated.cuda import NAME, emulated
from tests.emulated.device import CudaTensor
from tests.emulated.rules import MixedDevicesError

REFUSED = {
    "sum of two devices": lambda a, here: a + here,
    "CPU first": lambda a, here: here * a,
    "stack": lambda a, here: torch.stack([a, here]),
    "number in a product of three": lambda a, here: torch.addcmul(a, a, here[0]),
    "number in a matrix product": lambda a, here: torch.dot(a, here),
    "two numbers": lambda a, here: torch.where(a > 0, here[0], here[1]),
    "number written on the CPU": lambda a, here: here[0].clone().add_(a[0]),
    "CPU indexed on the device": lambda a, here: here[a.long()],
    "values of the CPU written": lambda a, here: a.index_put_((torch.tensor([0, 1, 2]),), here),
    "index_select by the CPU": lambda a, here: a.index_select(0, torch.tensor([0])),
    "in a backward pass": lambda a, here: torch.autograd.grad(
        (a.requires_grad_() * 2).sum(), a, torch.ones(()).expand(1)
    ),
}
ALLOWED = {
    "number": lambda a, here: a + here[0],
    "number first": lambda a, here: here[0] * a,
    "Python's": lambda a, here: 2.0 * a + 1,
    "CPU index": lambda a, here: a[torch.tensor([0, 2])],
    "CPU mask": lambda a, here: a[torch.tensor([True, False, True])],
    "number written": lambda a, here: a.clone().masked_fill_(a > 0, here[0]),
    "number spread": lambda a, here: a.clone().fill_(here[0]),
    "moved": lambda a, here: a + here.to(a),
    "copied": lambda a, here: torch.empty_like(a).copy_(here),
}
WAITS = {
    "item": (lambda a: a.sum().item(), 1),
    "bool": (lambda a: bool((a > 0).all()), 1),
    "tolist": (lambda a: a.tolist(), 1),
    "to the CPU": (lambda a: a.cpu(), 1),
    "to the CPU by another": (lambda a: a.to(torch.zeros(1)), 1),
    "copied to the CPU": (lambda a: torch.zeros(3).copy_(a), 1),
    "nonzero": (lambda a: a.nonzero(), 1),
    "mask": (lambda a: a[a > 0], 1),
    "written by a mask": (lambda a: a.clone().index_put_((a > 5,), a[:0]), 1),
    "number written by a mask": (lambda a: a.clone().__setitem__(a > 0, 0.0), 0),
    "bincount": (lambda a: torch.bincount(a.long()), 1),
    "equal": (lambda a: torch.equal(a, a), 1),
    "synchronize": (lambda a: torch.cuda.synchronize(), 1),
    "arithmetic": (lambda a: (a * a).sum().sqrt() + a.max(), 0),
    "an upload": (lambda a: torch.ones(3).to(a), 0),
}


@pytest.fixture
def cuda():
    """The device for one test: the last test is on what is left after it."""
    with emulated() as device:
        yield device


@pytest.mark.parametrize("name", REFUSED)
def test_devices_are_not_mixed(name, cuda):
    with pytest.raises((MixedDevicesError, RuntimeError)):
        REFUSED[name](torch.arange(3.0, device=cuda), torch.ones(3))


@pytest.mark.parametrize("name", ALLOWED)
def test_what_cuda_takes_is_taken(name, cuda):
    found = ALLOWED[name](torch.arange(3.0, device=cuda), torch.ones(3))
    assert isinstance(found, CudaTensor)
    torch.testing.assert_close(found.held, ALLOWED[name](torch.arange(3.0), torch.ones(3)))


@pytest.mark.parametrize("name", WAITS)
def test_waits_are_counted(name, cuda):
    a = torch.arange(3.0, device=cuda)
    ask, waits = WAITS[name]
    with counted() as seen:
        ask(a)
    assert sum(seen.waits.values()) == waits, seen
    assert sum(seen.uploads.values()) == (name == "an upload")


def test_numpy_and_generators_of_the_cpu_are_refused(cuda):
    a = torch.zeros(3, device=cuda)
    with pytest.raises(TypeError, match="numpy"):
        a.numpy()
    with pytest.raises(TypeError, match="numpy"):
        a.__array__()
    with pytest.raises(RuntimeError, match="generator"):
        torch.randn(3, device=cuda, generator=torch.Generator())


@pytest.mark.parametrize("make", [torch.zeros, torch.randn, torch.empty, torch.eye, torch.arange])
def test_factories_make_tensors_of_the_device(make, cuda):
    for device in (cuda, "cuda", "cuda:0"):
        assert make(3, device=device).device == torch.device("cuda", 0)
    assert make(3).device == torch.device("cpu")
    assert torch.tensor([1.0], device=cuda).is_cuda
    assert torch.zeros(2, device=cuda).new_tensor([1.0]).is_cuda
    assert not torch.zeros(2, device=cuda).new_full((2,), 1.0, device="cpu").is_cuda


def test_gradients_cross_the_devices(cuda):
    w = torch.arange(3.0, requires_grad=True)
    (w.to(cuda).square().sum().cpu() * 2).backward()
    assert type(w.grad) is torch.Tensor
    assert w.grad.tolist() == [0, 4, 8]


def test_a_module_moves_learns_and_is_copied(cuda):
    layer = nn.Linear(3, 2).to(cuda)
    assert all(isinstance(p, nn.Parameter) and p.is_cuda for p in layer.parameters())
    assert isinstance(copy.deepcopy(layer).weight, nn.Parameter)
    optimiser = torch.optim.Adam(layer.parameters(), 0.1)
    before = layer.weight.detach().clone()
    layer(torch.ones(1, 3, device=cuda)).sum().backward()
    with counted() as seen:
        optimiser.step()
    assert not seen.waits, seen
    assert bool((layer.weight != before).any())
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    stored = torch.load(file, map_location=cuda, weights_only=True)
    assert stored["weight"].is_cuda


def test_what_is_not_deterministic_is_named_as_torch_names_it(cuda):
    with deterministic() as names:
        torch.bincount(torch.zeros(3, dtype=torch.int64, device=cuda))
        assert names == []
        torch.bincount(torch.zeros(3, dtype=torch.int64, device=cuda), torch.ones(3, device=cuda))
    assert names == ["_bincount_cuda"]


def test_there_is_one_device_and_its_memory_is_followed(cuda):
    assert pick_device("auto") == torch.device("cuda")
    assert pick_device("cuda:0").index == 0
    assert torch.cuda.get_device_name(cuda) == NAME
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    a = torch.zeros(1000, dtype=torch.float64, device=cuda)
    view = a[:10]
    del a
    assert torch.cuda.memory_allocated() - before == 8000
    del view
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.max_memory_allocated() - before == 8000


def test_everything_is_as_it_was_afterwards():
    names = ("to", "cuda")
    before = [getattr(torch.Tensor, name) for name in names], torch.tensor, torch.load, torch.cuda.synchronize
    with emulated():
        assert torch.Tensor.to is not before[0][0]
    assert before == (
        [getattr(torch.Tensor, name) for name in names],
        torch.tensor,
        torch.load,
        torch.cuda.synchronize,
    )
    assert "to" not in torch.Tensor.__dict__
    assert torch.zeros(1).to("cpu").device.type == "cpu"
