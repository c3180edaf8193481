"""Problems for reference gradients."""

from __future__ import annotations

import torch

from bench.config.matrix import parse_task
from bench.measurement import reference_cache as references
from bench.measurement.hypergradient import reference_gradient
from bench.tasks import build_problem, loss
from bench.tasks.images import Layout, find_images


def problem(text, seed=0):
    return build_problem(parse_task(text), find_images(), Layout(32, 1, 1), seed, dtype=torch.float64)


def reference(found, budget=3000):
    batch = found.train
    return reference_gradient(
        found.bind(batch), list(found.operator.parameters()), batch.x0, lambda x: loss(x, batch.truth), budget
    )


F64 = torch.float64


def draw(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


class Computed:
    """Stands in for what computes a reference, and keeps which devices were asked for."""

    def __init__(self, monkeypatch, make):
        self.devices = []
        references._computed.cache_clear()
        monkeypatch.setattr(references, "build_problem", self.instance)
        self.make = make

    def instance(self, *given, device, **further):
        self.devices.append(str(device))
        return self.make(*given, device=device, **further)
