"""Rounding in certificates."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from solvers import (
    GMRES,
    Anderson,
    LipschitzConstants,
    Picard,
    SmoothLoss,
    implicit,
)
from tests.helpers.certified_maps import Layer, logged, misuse
from tests.helpers.monitored import log_of
from tests.helpers.tensors import F64


@misuse(
    "T subtracts numbers much larger than its value, in float64",
    "right: an application is shaken to see what it rounds off, and the certificate allows for that",
)
@pytest.mark.parametrize("big", [1e6, 1e13])
def test_rounding_after_cancellation_is_allowed_for(big):
    T = Layer(big=big)
    found = logged(T, implicit(Anderson(1e-13), GMRES(1e-12)))
    # What an application rounds off is about one unit of the last place of the large number, in each of 16 entries.
    assert found.distance >= 0.1 * big * torch.finfo(F64).eps


class Cancelling(nn.Module):
    """``(0.9x − 1e10) + θ`` at ``θ = 1e10 + 0.5``, whose fixed point is 5; plain iteration stops short of it."""

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.full((1,), 1e10 + 0.5, dtype=F64))

    def forward(self, x):
        return (0.9 * x - 1e10) + self.theta

    def regularity(self):
        return LipschitzConstants(0.9, 0.0, 0.0, lambda x: 1.0, parameters=[self.theta])


def test_without_the_allowance_for_rounding_a_certificate_is_false(monkeypatch):
    def ratio():
        T, loss = Cancelling(), SmoothLoss(lambda x: 0.5 * x.square().sum(), 1.0)
        monitor, log = log_of(implicit(Picard(1e-13, 2000), GMRES(1e-12)), every=1)
        loss(monitor(T, torch.zeros(1, 1, dtype=F64), loss).x).backward()
        assert log[0][1].rigorous
        return abs(float(T.theta.grad) - 50) / max(log[0][1].error, 1e-300)

    assert 0 < ratio() <= 1
    # The name of the module is that of its function too.
    monkeypatch.setattr(sys.modules["solvers._certificates.bound"], "ROUNDING", 0.0)
    assert ratio() > 1


@misuse(
    "a rigorous certificate is wanted in float32",
    "not supported: an estimate that says so, unless the regularity of T states its rounding(x)",
)
def test_float32_is_an_estimate_unless_its_rounding_is_stated():
    loose = implicit(Anderson(1e-5), GMRES(1e-4))
    found = logged(Layer(torch.float32), loose)
    assert not found.rigorous
    assert "rounding of T in float32 is not bounded" in found.why
    assert logged(Layer(torch.float32, rounding=lambda x: 1e-5), loose).rigorous


def test_a_stated_rounding_is_charged():
    solver = implicit(Anderson(1e-10), GMRES(1e-10))
    small, large = (logged(Layer(rounding=lambda x, r=r: r), solver) for r in (1e-12, 1e-2))
    assert large.distance >= 0.1
    assert small.distance < 1e-8
