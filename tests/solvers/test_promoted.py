"""Certificates of float32 gradients by residuals in float64."""

from __future__ import annotations

import dataclasses
import sys
import warnings

import pytest
import torch
from torch import Tensor, nn

from solvers import (
    GradientMonitor,
    LipschitzConstants,
    SmoothLoss,
    StagnationWarning,
    audit,
    certified,
    deq,
)
from tests.helpers.tensors import F64

F32 = torch.float32
WIDE = sys.modules["solvers._certificates.wide_search"]
FLOOR = 3e-4
"""At L = 0.98."""


class Dense(nn.Module):
    """``L tanh(Wx + c + y)`` with an orthogonal W, in float32; and the same numbers in float64.

    ``slip`` is an error of the derivative in c, which float32 alone has.
    """

    def __init__(self, seed: int = 0, L: float = 0.98, slip: float = 0.0, promoted: bool = True) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.W = torch.linalg.qr(torch.randn(8, 8, generator=draw, dtype=F64))[0].float()
        self.c = nn.Parameter(0.1 * torch.randn(8, generator=draw))
        self.y = 0.2 * torch.randn(2, 8, generator=draw)
        self.L, self.slip, self.promoted = L, slip, promoted

    def forward(self, x: Tensor) -> Tensor:
        c = (1 + self.slip) * self.c - self.slip * self.c.detach()
        return self.L * torch.tanh(x @ self.W.T + c + self.y)

    def wide(self, x: Tensor) -> Tensor:
        return self.L * torch.tanh(x @ self.W.double().T + self.c.double() + self.y.double())

    def regularity(self) -> LipschitzConstants:
        def rounding(x: Tensor) -> float:
            return (1e-14 if x.dtype == F64 else 1e-5) * (1 + float(x.norm()))

        L = self.L * (1 + 1e-6)  # W is orthogonal in float32 only
        return LipschitzConstants(
            L,
            0.78 * L,
            0.78 * L,
            lambda x: L * 2**0.5,
            parameters=[self.c],
            rounding=rounding,
            float64=self.wide if self.promoted else None,
        )


def loss_of(T: Dense) -> SmoothLoss:
    return SmoothLoss(lambda x: (x - 0.2).square().mean(), 2 / T.y.numel())


def equilibrium(T: Dense) -> Tensor:
    """Of the same numbers, in float64, by Newton's method."""
    x = T.y.double()
    for _ in range(12):
        J = torch.autograd.functional.jacobian(T.wide, x).view(16, 16)
        x = x + torch.linalg.solve(torch.eye(16, dtype=F64) - J, (T.wide(x) - x).detach().flatten()).view_as(
            x
        )
    return x


def exact(T: Dense) -> Tensor:
    """The gradient in c, of the same numbers, in float64, by a dense solve."""
    x = equilibrium(T)
    J = torch.autograd.functional.jacobian(T.wide, x).view(16, 16)
    v = (2 / T.y.numel() * (x - 0.2)).flatten()
    u = torch.linalg.solve(torch.eye(16, dtype=F64) - J.T, v).view_as(x)
    return ((1 - (T.wide(x) / T.L).square()) * T.L * u).sum(0).detach()


def gradient(T: Dense, rtol: float):
    solution = certified(rtol)(T, torch.zeros_like(T.y), loss_of(T))
    (g,) = torch.autograd.grad(loss_of(T)(solution.x), T.c)
    return g.double(), solution


def test_a_gradient_in_float32_is_certified_to_its_own_rounding():
    g, solution = gradient(Dense(), FLOOR)
    (found,) = solution.certificates
    assert solution.converged
    assert solution.x.dtype == F32
    assert found.rigorous
    assert found.relative <= FLOOR
    assert float((g - exact(Dense())).norm()) <= found.error


def test_without_a_map_in_float64_rounding_is_amplified():
    with pytest.warns(StagnationWarning, match="float32: solve in float64"):
        _, solution = gradient(Dense(promoted=False), FLOOR)
    assert solution.certificates[0].relative > 10 * FLOOR


def test_no_certificate_is_below_the_error():
    """Of the gradient that is returned, rounding included, and of its rounded equilibrium; 200 trials."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StagnationWarning)  # some ask for less than float32 holds
        for seed in range(200):
            T = Dense(seed, L=(0.5, 0.9, 0.98)[seed % 3])
            g, solution = gradient(T, (1e-2, 1e-3, 1e-4, 1e-6)[seed // 3 % 4])
            (found,) = solution.certificates
            error = float((g - exact(T)).norm())
            assert found.rigorous
            assert found.least <= error <= found.error
            assert float((solution.x.detach().double() - equilibrium(T)).norm()) <= found.distance


@pytest.mark.parametrize("size", [1e-2, 1e-4])
def test_what_float32_alone_gets_wrong_is_measured(size, monkeypatch):
    def ratio() -> float:
        T = Dense(slip=size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StagnationWarning)
            g, solution = gradient(T, FLOOR / 10)
        return float((g - exact(T)).norm()) / solution.certificates[0].error

    assert 0.5 < ratio() <= 1
    monkeypatch.setattr(WIDE, "_distance", lambda a, b: 0.0)
    assert ratio() > 1


def test_an_audit_in_float32_has_the_bounds_of_float64():
    T = Dense()
    x = deq(1e-4)(T, torch.zeros_like(T.y), loss_of(T)).x
    (g,) = torch.autograd.grad(loss_of(T)(x), T.c)
    error = float((g.double() - exact(T)).norm())
    found = audit(T, x.detach(), loss_of(T), [T.c], [g], sharp=0.1)
    assert found.rigorous
    assert found.least <= error <= found.error <= 1.3 * found.least
    T.promoted = False
    assert audit(T, x.detach(), loss_of(T), [T.c], [g], sharp=0.1).error > 10 * found.error


def test_a_monitor_that_audits_has_them_too():
    T, log = Dense(), []
    monitor = GradientMonitor(deq(1e-4), lambda step, bound: log.append(bound), every=1, audit=True)
    loss_of(T)(monitor(T, torch.zeros_like(T.y), loss_of(T)).x).backward()
    assert T.c.grad is not None
    error = float((T.c.grad.double() - exact(T)).norm())
    assert log[0].least <= error <= log[0].error <= 3.1 * error


def test_a_leaf_that_is_not_on_the_wide_tape_keeps_float32():
    T = Dense()
    T.wide = lambda x: T.L * torch.tanh(x @ T.W.double().T + T.c.detach().double() + T.y.double())
    with pytest.warns(StagnationWarning, match="float32"):
        _, solution = gradient(T, FLOOR)
    assert solution.certificates[0].relative > FLOOR


def test_a_loss_in_float32_alone_keeps_float32():
    T = Dense()
    truth = torch.full((8, 8), 0.2)
    stated = SmoothLoss(lambda x: (x @ truth).square().mean(), 1.0)
    with pytest.warns(StagnationWarning, match="float32"):
        certified(FLOOR)(T, torch.zeros_like(T.y), stated)


def test_float64_is_not_solved_twice(monkeypatch):
    """A target that float32 reaches costs no float64."""
    found = []
    T = Dense(L=0.5)
    wide = T.wide
    T.wide = lambda x: found.append(x.dtype) or wide(x)
    _, solution = gradient(T, 0.1)
    assert solution.converged
    assert not found


def test_all_of_float64_is_counted():
    T, calls = Dense(), []
    wide = T.wide
    T.wide = lambda x: calls.append(1) or wide(x)
    _, solution = gradient(T, FLOOR)
    _, narrow = gradient_of_float32(T)
    assert calls
    assert solution.applications >= narrow.applications + len(calls) - 2
    bounds = dataclasses.replace(T.regularity(), float64=None)
    assert bounds.in_float64() is None


def gradient_of_float32(T: Dense):
    T.promoted = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StagnationWarning)
        return gradient(T, FLOOR)
