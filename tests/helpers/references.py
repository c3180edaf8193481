"""Problems for reference gradients."""

from __future__ import annotations

from bench.measurement import reference_cache as references
from bench.measurement.hypergradient import reference_gradient
from bench.tasks import loss


def reference(found, budget=3000):
    batch = found.train
    return reference_gradient(
        found.bind(batch), list(found.operator.parameters()), batch.x0, lambda x: loss(x, batch.truth), budget
    )


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
