"""+"""

from __future__ import annotations

import pytest
import torch

from bench.config.matrix import parse_task
from bench.measurement.hypergradient import ReferenceGradient
from bench.measurement.reference_cache import cached_reference as shared
from bench.tasks import build_problem
from bench.tasks.images import Layout, find_images
from tests.helpers.references import Computed
from tests.helpers.tiny_cells import cell


def test_cells_share_a_reference_and_a_broken_one_is_made_again(tmp_path, monkeypatch):
    from bench.measurement import reference_cache as module

    images, layout, one = find_images(), Layout(32, 2, 1), cell("denoising(huber)", "jfb(1)").task
    made = module.cached_reference(one, images, layout, 1, 0, 3000, tmp_path)
    module._computed.cache_clear()
    monkeypatch.setattr(module, "reference_gradient", lambda *_: pytest.fail("computed again"))
    again = module.cached_reference(one, images, layout, 1, 0, 3000, tmp_path)
    assert torch.equal(again.gradient, made.gradient)
    assert (again.residual, again.adjoint_residual) == (made.residual, made.adjoint_residual)
    monkeypatch.undo()
    (file,) = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    assert torch.equal(
        module.cached_reference(one, images, layout, 1, 0, 3000, tmp_path).gradient, made.gradient
    )
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_a_stored_reference_is_the_same(tmp_path):
    given = (parse_task("denoising(huber)"), find_images(), Layout(32, 1, 1), 1, 0, 300, tmp_path)
    first, again = shared(*given), shared(*given)
    assert not isinstance(first, str)
    assert not isinstance(again, str)
    assert torch.equal(first.gradient, again.gradient)
    for name in ("residual", "adjoint_residual", "error", "basis"):
        assert getattr(first, name) == getattr(again, name)


def test_a_stored_reference_knows_the_kind_of_device_that_computed_it(tmp_path, monkeypatch):
    made = Computed(monkeypatch, lambda *given, device, **further: build_problem(*given, **further))
    given = (parse_task("denoising(huber)"), find_images(), Layout(32, 1, 1), 1, 0, 300, tmp_path)
    for name in ("cpu", "cuda", "cuda:1", "cpu"):
        found = shared(*given, device=torch.device(name))
        assert isinstance(found, ReferenceGradient)
        assert found.gradient.device.type == "cpu"
    assert made.devices == ["cpu", "cuda"]
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
